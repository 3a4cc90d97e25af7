"""What was acknowledged is on the synchronous standby, whatever has happened to it meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest_asyncio
from intent.errors import StoreUnavailable
from intent.records import CommandKey
from intent.store import Appended, EventStore, StreamAppend
from intent.store.postgres import PostgresEventStore

from ..support.databases import Database, create_database, prepare
from .builders import ACME, key, to
from .standbys import Pair, replicated


@pytest_asyncio.fixture
async def pair() -> AsyncIterator[Pair]:
    with replicated() as running:
        await running.synchronise()
        yield running


async def opened(database: Database) -> PostgresEventStore:
    return await PostgresEventStore.open(database.service, database.context, statement_timeout=0.5)


async def acknowledged(store: EventStore, append: StreamAppend) -> bool:
    """Append as the command path does, which looks for earlier attempts; return whether it may answer."""
    (write,) = append.commands
    command = CommandKey(ACME, write.origin.command_id)
    try:
        loaded = await store.load([append.key], [command])
        if command in loaded.commands:
            return True
        (outcome,) = (await store.append([append])).outcomes
    except StoreUnavailable:
        return False
    return isinstance(outcome, Appended) or write.origin.command_id in outcome.duplicates


async def test_nothing_acknowledged_is_lost_when_the_standby_stalls_and_then_takes_over(pair: Pair) -> None:
    name = await create_database(pair.primary)
    database = Database.of(pair.primary, name, "orders")
    await prepare(database)
    store = await opened(database)
    before, during, after_crash = (to(key(name)) for name in ("before", "during", "after-crash"))
    answered = [append for append in (before,) if await acknowledged(store, append)]
    assert answered == [before]

    pair.stall()
    answered += [during for _ in range(4) if await acknowledged(store, during)]
    # A crash ends the wait for the standby; what waited is committed on this server alone.
    await asyncio.to_thread(pair.primary.kill)
    await asyncio.to_thread(pair.primary.restart)
    for _ in range(4):
        answered += [append for append in (during, after_crash) if await acknowledged(store, append)]
    await store.close()

    await pair.promote()
    store = await opened(Database.of(pair.standby, name, "orders"))
    for append in answered:
        (write,) = append.commands
        assert await store.command(CommandKey(ACME, write.origin.command_id)) is not None, append.key
    await store.close()


async def test_what_waited_for_the_standby_is_answered_once_it_is_back(pair: Pair) -> None:
    database = Database.of(pair.primary, await create_database(pair.primary), "orders")
    await prepare(database)
    store = await opened(database)
    waiting = to(key("waiting"))
    pair.stall()
    assert not await acknowledged(store, waiting)
    pair.resume()
    async with asyncio.timeout(60):
        while not await acknowledged(store, waiting):
            pass
    assert [entry.aggregate_id for entry in await store.read_log(0, 10)] == ["waiting"]
    await store.close()


async def test_of_several_hosts_the_one_that_writes_is_used(pair: Pair) -> None:
    database = Database.of(pair.primary, await create_database(pair.primary), "orders")
    await prepare(database)
    writes, reads = (f"127.0.0.1:{server.port}" for server in (pair.primary, pair.standby))
    store = await PostgresEventStore.open(database.service.replace(writes, f"{reads},{writes}"), "orders")
    assert await acknowledged(store, to(key()))
    await store.close()
