"""Outages of PostgreSQL: callers get an error, nothing is lost, and the store recovers by itself."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from intent.dev.services import Postgres
from intent.errors import StoreUnavailable
from intent.records import CommandKey
from intent.store import Appended, EventStore, StreamAppend
from intent.store.postgres import PostgresEventStore, WakeUps

from ..support.databases import Database, create_database, prepare
from .builders import ACME, command, key, positions, to, written
from .transactions import append_on, connected


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """A server that may be stopped and killed and that keeps what it has committed."""
    with tempfile.TemporaryDirectory(prefix="intent-tests-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        with Postgres(Path(folder) / "data", settings={"fsync": "off"}) as started:
            yield started


@pytest_asyncio.fixture
async def own(server: Postgres) -> Database:
    """A database on that server."""
    if not server.alive:
        server.restart()
    database = Database.of(server, await create_database(server), "orders")
    await prepare(database)
    return database


@pytest_asyncio.fixture
async def store(own: Database) -> AsyncIterator[PostgresEventStore]:
    opened = await PostgresEventStore.open(own.service, own.context)
    yield opened
    await opened.close()


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_during_an_outage_every_call_says_so_and_afterwards_the_first_succeeds(
    server: Postgres, store: PostgresEventStore, end: str
) -> None:
    await store.append([to(key("before"))])
    await asyncio.gather(*(store.position() for _ in range(10)))

    await asyncio.to_thread(getattr(server, end))
    for call in (
        store.append([to(key("during"))]),
        store.load([key("before")], []),
        store.read_log(0, 10),
        store.read_stream(key("before")),
        store.position(),
        store.wait_beyond(1, 0.01),
    ):
        with pytest.raises(StoreUnavailable):
            await call
    await asyncio.to_thread(server.restart)

    assert written(await store.append([to(key("after"))])) == [2]
    assert positions(await store.read_log(0, 10)) == [1, 2]
    # A crash loses nothing, so the epoch goes on.
    assert store.epochs.begun == 0


async def test_readers_are_woken_by_other_processes_again_after_a_restart(
    server: Postgres, own: Database, store: PostgresEventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("intent.store.postgres.wakeups._POLL_INTERVAL", 3600.0)
    wake_ups = WakeUps(own.service, f"intent_{own.context}", store.position)
    wake_ups.start()
    await asyncio.to_thread(server.restart)
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        heard = group.create_task(wake_ups.wait_beyond(0, 60))
        async for position in appending(store):
            if heard.done():
                assert 0 < heard.result() <= position
                break
    await wake_ups.stop()


async def appending(store: EventStore) -> AsyncIterator[int]:
    """Append an event at intervals."""
    while True:
        yield (await store.append([to(key(str(await store.position())))])).position
        await store.wait_beyond(1_000_000, 0.1)


async def test_repeating_what_a_crash_interrupted_has_one_effect_each(
    server: Postgres, store: PostgresEventStore
) -> None:
    crashes = 3
    crashed = asyncio.Event()

    async def write(writer: int) -> list[StreamAppend]:
        done: list[StreamAppend] = []
        while not (crashed.is_set() and len(done) > 5):
            append = to(key(f"{writer}-{len(done)}"), 0, command(2), command(0))
            await persevere(store, append)
            done.append(append)
        return done

    async with asyncio.timeout(120), asyncio.TaskGroup() as group:
        writers = [group.create_task(write(n)) for n in range(4)]
        for crash in range(crashes):
            before = await reached(store, 40 * (crash + 1))
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.restart)
            assert await reached(store, before) >= before
        crashed.set()

    appends = [append for writer in writers for append in writer.result()]
    log = await store.read_log(0, 100_000)
    assert positions(log) == list(range(1, 2 * len(appends) + 1))
    expected = [event.event_id for append in appends for event in append.commands[0].events]
    assert sorted(entry.event_id for entry in log) == sorted(expected)
    for append in appends:
        for sent in append.commands:
            assert await store.command(CommandKey(ACME, sent.origin.command_id)) is not None


async def persevere(store: EventStore, append: StreamAppend) -> None:
    """Repeat an append until it is done, by this attempt or by one whose answer was lost."""
    while True:
        try:
            (outcome,) = (await store.append([append])).outcomes
        except StoreUnavailable:
            await asyncio.sleep(0)
            continue
        assert isinstance(outcome, Appended) or set(outcome.duplicates) == {
            sent.origin.command_id for sent in append.commands
        }
        return


async def reached(store: EventStore, position: int) -> int:
    """Wait until the log has reached a position, across outages."""
    while True:
        try:
            if (head := await store.wait_beyond(position - 1, 0.05)) >= position:
                return head
        except StoreUnavailable:
            await asyncio.sleep(0)


async def test_an_append_behind_a_transaction_that_hangs_times_out_and_may_be_repeated(
    own: Database,
) -> None:
    store = await PostgresEventStore.open(own.service, own.context, statement_timeout=0.3)
    append = to(key("behind"))
    async with connected(own.service, own) as hanging:
        transaction = hanging.transaction()
        await transaction.start()
        await append_on(hanging, own, [to(key("hangs"))])
        with pytest.raises(StoreUnavailable):
            await store.append([append])
        assert await store.position() == 0
        await transaction.rollback()
    assert written(await store.append([append])) == [1]
    await store.close()


async def test_a_closed_store_says_so(own: Database) -> None:
    store = await PostgresEventStore.open(own.service, own.context)
    await store.close()
    with pytest.raises(StoreUnavailable):
        await store.append([to(key())])
