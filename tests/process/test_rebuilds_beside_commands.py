"""Commands, skips and other processes go on while a rebuild builds its indexes, however long that takes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest
from intent.client import IntentClient
from intent.errors import InvalidCommand
from intent.model import BoundContext
from intent.process.assembly import CommandPath, ContextProcess
from intent.process.sockets import free_port
from intent.settings.config import Settings

from ..service.support import REGISTRY
from ..support.command_path import Requests, eventually, place
from ..support.databases import Database

_READ_MODELS = ("OrderViews", "OrderSummaries")
_SLOW = """
create table public.built_with (more_processes text);
create function public.wait_for_the_test() returns event_trigger language plpgsql security definer as
    'begin
        perform pg_advisory_xact_lock_shared(7);
        insert into public.built_with select current_setting(''max_parallel_maintenance_workers'');
    end';
create event trigger slow on ddl_command_start when tag in ('CREATE INDEX')
    execute function public.wait_for_the_test();
select pg_advisory_lock(7);
"""


@asynccontextmanager
async def slow_indexes(database: Database) -> AsyncIterator[Any]:
    """Let no index be built until the end; yield a connection of the administrator."""
    connection = await asyncpg.connect(database.admin)
    try:
        await connection.execute(_SLOW)
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def process(settings: Settings, bound: BoundContext, **own: object) -> AsyncIterator[CommandPath]:
    async with ContextProcess(settings.model_copy(update=own), bound).started() as path:
        yield path


async def more_processes(database: Database) -> set[str]:
    """Return how many further processes indexes were built with."""
    connection = await asyncpg.connect(database.admin)
    try:
        return {row[0] for row in await connection.fetch("select more_processes from public.built_with")}
    finally:
        await connection.close()


async def rebuild(client: IntentClient, name: str) -> None:
    async for _ in client.projections.rebuild(name):
        pass


async def test_building_indexes_holds_up_neither_commands_nor_skips(
    settings: Settings, bound: BoundContext, database: Database, request_of: Requests
) -> None:
    port = free_port()
    async with (
        process(settings, bound, port=port, database_connections=2) as path,
        process(settings, bound) as other,
        IntentClient.connect(f"127.0.0.1:{port}", tenant="acme", registry=REGISTRY) as client,
        asyncio.TaskGroup() as group,
    ):
        await path.router.handle(request_of(place("before")))
        async with slow_indexes(database) as observer:
            rebuilds = [group.create_task(rebuild(client, name)) for name in _READ_MODELS]

            async def building() -> bool:
                waiting = "select exists (select from pg_locks where locktype = 'advisory' and not granted)"
                return bool(await observer.fetchval(waiting))

            await eventually(building)
            # A command that waits for a connection or a lock here waits until the indexes are built.
            async with asyncio.timeout(60):
                for n in range(10):
                    for router in (path.router, other.router):
                        await router.handle(request_of(place(f"{n}-{id(router)}")))
                with pytest.raises(InvalidCommand, match="has applied all events up to"):
                    await client.projections.skip("OrderViews", 1, reason="a slip")
            assert not any(task.done() for task in rebuilds)
        await asyncio.gather(*rebuilds)
        assert await more_processes(database) == {"0"}, "commands need the other cores"
