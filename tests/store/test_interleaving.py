"""Positions are gapless and in commit order, so that no reader can miss an event."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from uuid import UUID

import pytest_asyncio
from intent.records import LogEntry
from intent.store import Appended, EventStore, LogFilter, StreamAppend
from intent.store.postgres import PostgresEventStore

from ..support.databases import Database
from .builders import ACME, GLOBEX, command, key, positions, to
from .following import follow_log
from .transactions import append_on, connected, until_blocked

WRITERS = 8
TURNS = 30


@pytest_asyncio.fixture
async def stores(database: Database) -> AsyncIterator[list[PostgresEventStore]]:
    """Stores of four processes, which learn of each other's appends through the server only."""
    async with AsyncExitStack() as stack:
        opened = []
        for _ in range(4):
            store = await PostgresEventStore.open(database.service, database.context)
            stack.push_async_callback(store.close)
            opened.append(store)
        yield opened


async def follow(store: EventStore, last: asyncio.Future[int], page: int, only: LogFilter) -> list[LogEntry]:
    """Read from 0 on until the last position."""
    read: list[LogEntry] = []
    async for entries, position in follow_log(store, 0, only, page_size=page, pause=0.05):
        read += entries
        if last.done() and position >= last.result():
            break
    return read


async def write(database: Database, writer: int, committed: set[UUID]) -> None:
    """Append repeatedly, holding some transactions open for a while and rolling some back."""
    chance = random.Random(writer)
    async with connected(database.service, database) as connection:
        for turn in range(TURNS):
            batch = [
                to(
                    key(f"{writer}-{turn}-{n}", chance.choice((ACME, GLOBEX))),
                    0,
                    command(chance.randint(0, 3)),
                )
                for n in range(chance.randint(1, 4))
            ]
            transaction = connection.transaction()
            await transaction.start()
            await append_on(connection, database, batch)
            if chance.random() < 0.3:
                await connection.execute("select pg_sleep($1)", chance.random() * 0.02)
            if chance.random() < 0.25:
                await transaction.rollback()
            else:
                await transaction.commit()
                committed |= ids(batch)


def ids(batch: Sequence[StreamAppend]) -> set[UUID]:
    return {event.event_id for stream in batch for command in stream.commands for event in command.events}


async def test_subscribers_see_each_event_once_and_in_order_while_writers_commit_slowly_or_give_up(
    database: Database, stores: list[PostgresEventStore]
) -> None:
    last: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    committed: set[UUID] = set()
    async with asyncio.timeout(120), asyncio.TaskGroup() as group:
        everything = [
            group.create_task(follow(store, last, page, LogFilter()))
            for store, page in zip(stores, (1, 7, 50, 1000), strict=True)
        ]
        of_acme = group.create_task(follow(stores[0], last, 5, LogFilter(tenant=ACME)))
        await asyncio.gather(*(write(database, writer, committed) for writer in range(WRITERS)))
        last.set_result(await stores[0].position())

    n = last.result()
    assert n == len(committed) > WRITERS * TURNS
    for reader in everything:
        assert positions(reader.result()) == list(range(1, n + 1))
        assert {entry.event_id for entry in reader.result()} == committed
    whole = everything[0].result()
    assert of_acme.result() == [entry for entry in whole if entry.tenant == ACME]


async def test_an_event_is_not_seen_before_those_of_earlier_positions(
    database: Database, postgres_store: PostgresEventStore
) -> None:
    async with connected(database.service, database) as slow, connected(database.admin, database) as observer:
        transaction = slow.transaction()
        await transaction.start()
        await append_on(slow, database, [to(key("slow"), 0, command(2))])

        async with connected(database.service, database) as quick:
            behind = asyncio.create_task(append_on(quick, database, [to(key("quick"))]))
            await until_blocked(observer, quick.get_server_pid())
            assert await postgres_store.read_log(0, 10) == []
            assert await postgres_store.position() == 0
            await transaction.commit()
            await behind

    log = await postgres_store.read_log(0, 10)
    assert [(entry.position, entry.aggregate_id) for entry in log] == [(1, "slow"), (2, "slow"), (3, "quick")]


async def test_an_append_that_is_rolled_back_leaves_no_gap(
    database: Database, postgres_store: PostgresEventStore
) -> None:
    async with connected(database.service, database) as failing:
        transaction = failing.transaction()
        await transaction.start()
        await append_on(failing, database, [to(key("gone"), 0, command(5))])
        behind = asyncio.create_task(postgres_store.append([to(key("kept")), to(key("gone"))]))
        await transaction.rollback()
        result = await behind

    assert [outcome.positions for outcome in result.outcomes if isinstance(outcome, Appended)] == [[1], [2]]
    assert positions(await postgres_store.read_log(0, 10)) == [1, 2]


async def test_the_death_of_a_writer_leaves_no_gap_and_blocks_nobody(
    database: Database, postgres_store: PostgresEventStore
) -> None:
    async with connected(database.service, database) as dying, connected(database.admin, database) as admin:
        await dying.execute("begin")
        await append_on(dying, database, [to(key("gone"), 0, command(5))])
        behind = asyncio.create_task(postgres_store.append([to(key("kept"))]))
        await admin.execute("select pg_terminate_backend($1)", dying.get_server_pid())
        await behind

    assert positions(await postgres_store.read_log(0, 10)) == [1]
