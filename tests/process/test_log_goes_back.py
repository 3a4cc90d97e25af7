"""The log goes back under a running process: by a promotion with loss, by a restore to a point in time."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from google.protobuf.message import Message
from intent.commands import AggregateCache, CommandHandling
from intent.dev.services import Postgres
from intent.errors import StoreUnavailable
from intent.projections.supervisor import ProjectionSupervisor
from intent.projections.tables import ensure_tables
from intent.store import LogPage
from intent.store.postgres import PostgresEventStore
from intent_contracts.orders.v1 import ChangeLine, ConfirmOrder

from ..commands.test_handling import envelope, shown
from ..consumers.cluster import Process, Worker
from ..projections.cluster import bound, until_at
from ..store.following import follow_log
from ..store.standbys import Pair, copied, set_back, standby_of
from ..support.command_path import place
from ..support.databases import Database, create_database, prepare

SETTINGS = {"fsync": "off"}


@dataclass
class World:
    """A process that lives through the loss, with everything in it that remembers something of the log."""

    process: Process
    handling: CommandHandling
    projections: ProjectionSupervisor
    worker: Worker
    database: Database

    async def send(self, *commands: Message) -> list[str]:
        """Handle commands, trying again while the store is unavailable, as the command path does."""
        return await sent(self.handling, *commands)

    async def orders(self) -> list[tuple[str, int]]:
        """Return id and version of each row of a read model."""
        connection = await asyncpg.connect(self.database.admin)
        try:
            rows = await connection.fetch("select order_id, updated_position from orders.order_summary")
        finally:
            await connection.close()
        return sorted(map(tuple, rows))

    async def taken(self, count: int) -> list[str]:
        """Return the orders of the next deliveries, in any order."""
        return sorted(d.event.aggregate_id for d in await self.worker.take_all(count))


async def sent(handling: CommandHandling, *commands: Message) -> list[str]:
    batch = [envelope(command) for command in commands]
    while True:
        try:
            return shown(await handling.handle(batch))
        except StoreUnavailable:
            await asyncio.sleep(0.05)


@asynccontextmanager
async def world_on(database: Database, admin: Database) -> AsyncIterator[World]:
    context = bound()
    async with AsyncExitStack() as stack:
        process = await Process.started(database)
        stack.push_async_callback(process.stop)
        projections = ProjectionSupervisor(context, process.store, process.store.pool)
        process.store.wake_ups.on_loss(projections.distrust)
        await projections.start()
        stack.push_async_callback(projections.stop)
        worker = await Worker.joined(process)
        stack.push_async_callback(worker.vanish)
        handling = CommandHandling(context, process.store, AggregateCache())
        yield World(process, handling, projections, worker, admin)


async def read_on(pages: AsyncIterator[LogPage], until: Callable[[LogPage], bool]) -> LogPage:
    async for page in pages:
        if until(page):
            return page
    raise AssertionError("the subscription ended")


async def other_process(database: Database, *commands: Message) -> Sequence[str]:
    """Handle commands in a process that was not there before the loss, and knows nothing."""
    while True:
        try:
            store = await PostgresEventStore.open(database.service, "orders")
            break
        except Exception:
            await asyncio.sleep(0.05)
    try:
        return await sent(CommandHandling(bound(), store, AggregateCache()), *commands)
    finally:
        await store.close()


@pytest.fixture
def folder() -> Any:
    with tempfile.TemporaryDirectory(prefix="intent-tests-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        yield Path(name)


@dataclass
class Log:
    """A server, and how it loses the end of its log.

    Attributes:
        kept: Called when everything so far is to survive.
        lose: Called to lose what has come since.
        database: The addresses of a process.
        before: Those of the server before the loss.
        after: Those of the server after it.
    """

    kept: Callable[[], Any]
    lose: Callable[[], Any]
    database: Database
    before: Database
    after: Database


async def new_database(server: Postgres) -> str:
    name = await create_database(server)
    database = Database.of(server, name, "orders")
    await prepare(database)
    connection = await asyncpg.connect(database.owner)
    try:
        await ensure_tables(connection, bound())
    finally:
        await connection.close()
    return name


@asynccontextmanager
async def promoted(primary: Postgres, folder: Path) -> AsyncIterator[Log]:
    """A server whose asynchronous standby stands still, and is then promoted."""
    name = await new_database(primary)
    with standby_of(primary, folder / "standby") as pair:
        before, after = (Database.of(s, name, "orders") for s in (primary, pair.standby))
        hosts = [f"127.0.0.1:{s.port}" for s in (primary, pair.standby)]
        either = replace(before, service=before.service.replace(hosts[0], ",".join(hosts)))
        yield Log(lambda: _still(pair), pair.promote, either, before, after)


async def _still(pair: Pair) -> None:
    await pair.caught_up()
    pair.stall()


@asynccontextmanager
async def restored(primary: Postgres, folder: Path) -> AsyncIterator[Log]:
    """A server that is set back to a point: a base backup, and its WAL up to there."""
    name = await new_database(primary)
    copy = copied(primary, folder / "copy")
    database = Database.of(primary, name, "orders")
    point: list[str] = []
    async with AsyncExitStack() as stack:

        async def kept() -> None:
            connection = await asyncpg.connect(primary.dsn)
            point.append(await connection.fetchval("select pg_current_wal_lsn()::text"))
            await connection.close()

        async def lose() -> None:
            primary.kill()
            stack.enter_context(set_back(primary, copy, point[0]))

        yield Log(kept, lose, database, database, database)


@pytest.mark.parametrize("losing", [promoted, restored])
async def test_whatever_remembers_something_of_the_log_starts_anew(
    losing: Any, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with AsyncExitStack() as stack:
        primary = stack.enter_context(Postgres(folder / "primary", settings=SETTINGS))
        log = await stack.enter_async_context(losing(primary, folder))
        world = await stack.enter_async_context(world_on(log.database, log.after))
        epoch = world.process.store.epochs.current
        assert await world.send(place("kept")) == ["v1"]
        assert await world.taken(1) == ["kept"]
        await until_at(world.projections, 1)
        await log.kept()

        # What is lost: known to the cache, in the read models, answered by the consumer, and subscribed to.
        assert await world.send(ConfirmOrder(order_id="kept"), place("lost"), place("gone")) == [
            "v2",
            "v1",
            "v1",
        ]
        await until_at(world.projections, 4)
        assert await world.taken(3) == ["gone", "kept", "lost"]
        subscription = follow_log(world.process.store)
        assert (await read_on(subscription, lambda page: page.position >= 4)).position == 4
        ended = asyncio.create_task(read_on(subscription, lambda page: bool(page.entries)))

        await log.lose()
        # Another process goes on at once, and reaches the same positions and versions.
        changed = ChangeLine(order_id="kept", line_id="1", quantity=4)
        new = [changed, *(place(f"new-{n}") for n in range(3))]
        assert await other_process(log.after, *new) == ["v2", "v1", "v1", "v1"]

        assert await world.send(ConfirmOrder(order_id="kept")) == ["v3"]
        assert world.process.store.epochs.current != epoch
        await until_at(world.projections, 6)
        names = ["kept", *(f"new-{n}" for n in range(3))]
        assert await world.orders() == sorted(zip(names, [6, 3, 4, 5], strict=True))
        with pytest.raises(StoreUnavailable):
            await ended
        world.worker = await Worker.joined(world.process)
        stack.push_async_callback(world.worker.vanish)
        seen: set[str] = set()
        while not {"kept", *names} <= seen:
            seen |= set(await world.taken(1))
        assert "another epoch after position 1" in caplog.text
