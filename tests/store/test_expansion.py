"""A process of the previous release runs beside a new one and calls the schema as before."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
import pytest_asyncio
from alembic import command as alembic
from intent.auditing import AuditDatabase, verify
from intent.consumers.changes import Changes, PartitionMark, StreamMark
from intent.consumers.database import ConsumerDatabase, NotAMemberError
from intent.consumers.keys import ConsumerKey
from intent.dev.services import Postgres
from intent.errors import ConfigurationError
from intent.origin import TraceContext
from intent.records import LogEntry
from intent.store import StreamAppend
from intent.store.migrations import migrate
from intent.store.migrations.provisioning import Passwords, provision
from intent.store.postgres import PostgresEventStore
from intent.store.postgres.append import append_arguments

from ..support.databases import PASSWORD, Database, create_database, drop_database
from .builders import ACME, command, key, to
from .transactions import connected

TRACE = TraceContext("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "rojo=00f067aa0ba902b7")
COLUMNS = LogEntry._fields[:-1]
"""The columns of an entry before revision 0005."""


class Before:
    """The statements of the release before revision 0004, on connections that stay open."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def append(self, *streams: StreamAppend) -> int:
        """Append, and return the position before."""
        arguments = append_arguments(streams)[:-1]
        parameters = ", ".join(f"${n}" for n in range(1, len(arguments) + 1))
        row = await self._pool.fetchrow(f"select * from orders.append({parameters}, false)", *arguments)
        base: int = row["base"]
        return base

    async def entries(self, function: str, *arguments: Any) -> Sequence[LogEntry]:
        """Read entries, each as its columns in the order in which they arrive."""
        parameters = ", ".join(f"${n}" for n in range(1, len(arguments) + 1))
        rows = await self._pool.fetch(f"select * from orders.{function}({parameters})", *arguments)
        return [self._entry(row) for row in rows]

    async def parked(self) -> Sequence[LogEntry]:
        rows = await self._pool.fetch(
            "select * from orders.consumer_parked(null, null, null, null, null, 100)"
        )
        return [self._entry(row["event"]) for row in rows]

    async def everything(self) -> Sequence[Sequence[LogEntry]]:
        """Read the log by every statement of that release."""
        return [
            await self.entries("read_log", 0, 100, None, None, None, None, None),
            await self.entries("read_log", 0, 100, ACME, None, None, None, None),
            await self.entries("read_positions", [1, 2, 3]),
            await self.entries("read_stream", *key("a"), 0, 100),
            await self.entries("consumer_read", 0, 100, 100, None, None, 1, [0]),
        ]

    @staticmethod
    def _entry(row: Any) -> LogEntry:
        assert tuple(row.keys()) == COLUMNS
        return LogEntry(*row)


@pytest_asyncio.fixture
async def old(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Database]:
    """A database as the previous release left it."""
    name = await create_database(postgres)
    database = Database.of(postgres, name, "orders")
    await provision(database.admin, "orders", Passwords(PASSWORD, PASSWORD, PASSWORD), share_roles=True)
    upgrade = alembic.upgrade
    with monkeypatch.context() as patch:
        patch.setattr(alembic, "upgrade", lambda config, _: upgrade(config, "0003"))
        await migrate(database.owner, "orders")
    yield database
    await drop_database(postgres, name)


@asynccontextmanager
async def before(database: Database) -> AsyncIterator[Before]:
    async with asyncpg.create_pool(database.service, min_size=1, max_size=6) as pool:
        yield Before(pool)


@asynccontextmanager
async def after(database: Database) -> AsyncIterator[PostgresEventStore]:
    store = await PostgresEventStore.open(database.service, "orders")
    try:
        yield store
    finally:
        await store.close()


async def member(pool: asyncpg.Pool, types: Sequence[str] = ()) -> tuple[ConsumerKey, UUID, UUID]:
    """Return a consumer, a process and its instance, which joined as one of the previous release does."""
    consumer, worker, instance = ConsumerKey(ACME, "watcher"), uuid4(), uuid4()
    await ConsumerDatabase(pool, "orders").heartbeat(worker, "test", 60, [], new=True)
    await pool.fetchval(
        "select orders.consumer_join($1, $2, $3, $4, 1, false, $5)", *consumer, instance, worker, list(types)
    )
    return consumer, worker, instance


async def park(pool: asyncpg.Pool, position: int) -> ConsumerKey:
    """Leave a consumer with the first event of a stream parked, as the previous release does."""
    consumer, _, instance = await member(pool)
    consumers = ConsumerDatabase(pool, "orders")
    grant = await pool.fetchrow("select * from orders.consumer_balance($1, $2, $3)", *consumer, instance)
    stream = StreamMark(0, key("a"), 1, position, 5, "no", parked=True)
    await consumers.save(consumer, instance, Changes([PartitionMark(0, grant["epoch"], position)], [stream]))
    return consumer


async def test_the_previous_release_appends_and_reads_while_the_new_one_does(old: Database) -> None:
    async with before(old) as process:
        await process.append(to(key("a"), 0, command(2, trace=TRACE)))
        whole = await process.everything()

        await migrate(old.owner, "orders")

        assert await process.everything() == whole
        async with after(old) as store:
            assert await process.append(to(key("a"), 2, command(1, trace=TRACE))) == 2
            await store.append([to(key("a"), 3, command(1, trace=TRACE))])
            log = await store.read_log(0, 10)
            assert [entry.tracestate for entry in log] == ["", "", "", TRACE.state]
            assert {entry.traceparent for entry in log} == {TRACE.parent}
            assert [len(entries) for entries in await process.everything()] == [4, 4, 3, 4, 4]
            verified = await verify(AuditDatabase(store.pool, "orders"), "events")
            assert (verified.findings, verified.began_after, verified.rows) == ([], 2, 2)


async def test_the_previous_release_lists_and_drops_parked_events(old: Database) -> None:
    async with before(old) as process:
        await process.append(to(key("a"), 0, command(3)))
        consumer = await park(process._pool, 1)
        parked = await process.parked()
        await migrate(old.owner, "orders")
        assert await process.parked() == parked
        async with after(old) as store:
            consumers = ConsumerDatabase(store.pool, "orders")
            assert [row.entry for row in await consumers.parked(ACME, 10)] == parked
        assert await ConsumerDatabase(process._pool, "orders").drop(consumer, 1, "a test", "ann")
        assert await process.parked() == []


async def test_an_instance_at_the_previous_release_hands_over_to_one_that_handles_more_types(
    old: Database,
) -> None:
    async with before(old) as process:
        consumer, worker, instance = await member(process._pool, ["orders.v1.Old"])
        await process._pool.fetchrow("select orders.consumer_balance($1, $2, $3)", *consumer, instance)
        await migrate(old.owner, "orders")
        async with after(old) as store:
            consumers = ConsumerDatabase(store.pool, "orders")
            (held,) = (await consumers.balance(consumer, instance)).grants
            newer, types = uuid4(), ["orders.v1.Old", "orders.v1.New"]
            await consumers.join(consumer, newer, worker, partitions=1, from_now=False, types=types)
            # The one at the previous release may have passed new events: it saves nothing more.
            passed = Changes([PartitionMark(0, held.epoch, 7)])
            with pytest.raises(NotAMemberError):
                await ConsumerDatabase(process._pool, "orders").save(consumer, instance, passed)
            await consumers.heartbeat(worker, "test", 60, [newer], new=False)
            assert [grant.checkpoint for grant in (await consumers.balance(consumer, newer)).grants] == [0]

            again = uuid4()
            await process._pool.fetchval(
                "select orders.consumer_join($1, $2, $3, $4, 1, false, $5)",
                *consumer,
                again,
                worker,
                types[:1],
            )
            share = await process._pool.fetchrow(
                "select * from orders.consumer_balance($1, $2, $3)", *consumer, again
            )
            assert (share["partition"], share["share"]) == (None, 0)


async def test_a_new_process_asks_for_the_migration(old: Database) -> None:
    with pytest.raises(ConfigurationError, match="intent migrate orders"):
        await PostgresEventStore.open(old.service, "orders")


async def test_no_call_of_the_previous_release_fails_while_the_schema_is_migrated(old: Database) -> None:
    async with before(old) as process, asyncio.TaskGroup() as group:
        over = asyncio.Event()

        async def append(writer: int) -> None:
            for number in itertools.takewhile(lambda _: not over.is_set(), itertools.count()):
                await process.append(to(key(f"{writer}-{number}"), 0, command(2)))

        async def read() -> None:
            while not over.is_set():
                await process.everything()

        working = [group.create_task(append(writer)) for writer in range(2)]
        working += [group.create_task(read()) for _ in range(4)]
        await migrate(old.owner, "orders")
        assert not any(task.done() for task in working)
        over.set()


async def test_a_locked_log_is_migrated_later_and_blocks_nobody(old: Database) -> None:
    async with before(old) as process, connected(old.admin, old) as backup:
        async with backup.transaction():
            await backup.fetch("select * from events")
            with pytest.raises(ConfigurationError, match="migrate again"):
                await migrate(old.owner, "orders")
            await process.append(to(key("a"), 0, command(2)))
        await migrate(old.owner, "orders")
        assert [len(entries) for entries in await process.everything()] == [2, 2, 2, 2, 2]
