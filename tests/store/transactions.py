"""Appends whose transaction stays open, as a slow or a dying writer leaves it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from intent.store import StreamAppend
from intent.store.postgres.append import append_arguments, append_statement

from ..support.databases import Database


@asynccontextmanager
async def connected(dsn: str, database: Database, tenant: str | None = None) -> AsyncIterator[Any]:
    """Yield a connection with the schema on its search path, bound to a tenant or to none."""
    settings = {"search_path": f"{database.context}, public"}
    if tenant is not None:
        settings["intent.tenant"] = tenant
    connection = await asyncpg.connect(dsn, server_settings=settings)
    try:
        yield connection
    finally:
        await connection.close(timeout=10)


async def append_on(connection: Any, database: Database, streams: Sequence[StreamAppend]) -> Any:
    """Append within the connection's transaction, as the adapter does; return the function's reply."""
    return await connection.fetchrow(append_statement(database.context), *append_arguments(streams))


async def until_blocked(observer: Any, pid: int) -> None:
    """Wait until a backend waits for a lock."""
    waiting = "select wait_event_type = 'Lock' from pg_stat_activity where pid = $1"
    while not await observer.fetchval(waiting, pid):
        await observer.execute("select pg_sleep(0.002)")
