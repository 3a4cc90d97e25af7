"""No call reads more of the log than it needs, however large the log has become.

The connection is made, and its statements planned, while the log is empty: the planner's idea of the
tables is as poor as it can be.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest_asyncio
from intent.records import CommandKey, Snapshot
from intent.store import EventStore, LogFilter, StreamAppend
from intent.store.postgres import PostgresEventStore

from ..support.databases import Database
from .builders import ACME, GLOBEX, command, key, to

SIZE = 3_000

READ = """
select coalesce(sum(seq_tup_read), 0)::int + (
    select coalesce(sum(idx_tup_read), 0)::int from pg_stat_user_indexes where schemaname = $1)
from pg_stat_user_tables where schemaname = $1
"""


class Meter:
    """Counts the rows and index entries that calls on a store of one connection read."""

    def __init__(self, store: PostgresEventStore, schema: str) -> None:
        self._store = store
        self._schema = schema

    async def rows(self, call: Awaitable[object]) -> int:
        before = await self._read()
        await call
        return await self._read() - before

    async def _read(self) -> int:
        await self._store.pool.execute("select pg_stat_force_next_flush()")
        return int(await self._store.pool.fetchval(READ, self._schema))


def some(number: int) -> StreamAppend:
    tenant = GLOBEX if number % 300 == 0 else ACME
    return to(key(f"o-{number}", tenant), 0, command(1, correlation_id=f"story-{number}"))


@pytest_asyncio.fixture
async def store(database: Database) -> AsyncIterator[PostgresEventStore]:
    """A store that was used while the log was empty, and has grown since."""
    opened = await PostgresEventStore.open(database.service, database.context, connections=1)
    for call in CALLS.values():
        await call(opened)
    await opened.append([to(key("long"), 0, command(SIZE, correlation_id="long"))])
    await opened.append([to(key("long"), SIZE, command(2), snapshot=Snapshot(SIZE, 1, b""))])
    for first in range(0, SIZE, 500):
        await opened.append([some(number) for number in range(first, first + 500)])
    yield opened
    await opened.close()


async def append_new(store: EventStore) -> object:
    return await store.append([to(key(f"new-{await store.position()}-{n}")) for n in range(10)])


async def append_more(store: EventStore) -> object:
    version = (await store.load([key("grows")], [])).streams[key("grows")].version
    return await store.append([to(key("grows"), version)])


async def reject(store: EventStore) -> object:
    return await store.append([to(key(f"o-{n}"), 1, command(0)) for n in range(10)])


async def conflict(store: EventStore) -> object:
    return await store.append([to(key(f"o-{n}"), 7, command(1)) for n in range(10)])


CALLS: dict[str, Callable[[PostgresEventStore], Awaitable[object]]] = {
    "append new streams": append_new,
    "append to a stream": append_more,
    "reject": reject,
    "conflict": conflict,
    "load with a snapshot": lambda store: store.load([key("long")], []),
    "load many": lambda store: store.load([key(f"o-{n}") for n in range(10)], []),
    "load a command": lambda store: store.command(CommandKey(ACME, command().origin.command_id)),
    "read a page": lambda store: store.read_log(1_000, 10),
    "read positions": lambda store: store.read_positions([7, 1_000]),
    "read a stream": lambda store: store.read_stream(key("long"), 1_000, 10),
    "follow a small tenant": lambda store: store.read_log(0, 10, LogFilter(tenant=GLOBEX)),
    "follow a correlation": lambda store: store.read_log(
        0, 10, LogFilter(tenant=ACME, correlation_id="story-2999")
    ),
    "follow a stream": lambda store: store.read_log(
        0, 10, LogFilter(tenant=ACME, aggregate_type="Order", aggregate_id="o-2999")
    ),
    "look": lambda store: store.position(),
}


async def test_no_call_reads_more_than_it_needs(store: PostgresEventStore, database: Database) -> None:
    meter = Meter(store, database.context)
    read = {name: await meter.rows(call(store)) for name, call in CALLS.items()}
    assert {name: rows for name, rows in read.items() if rows > 100} == {}


async def test_the_meter_sees_what_is_read(store: PostgresEventStore, database: Database) -> None:
    meter = Meter(store, database.context)
    assert await meter.rows(store.read_stream(key("o-1"))) >= 1
    assert await meter.rows(store.read_log(0, SIZE)) >= SIZE
