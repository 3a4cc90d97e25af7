"""Who holds up a migration, and the lock of earlier releases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import asyncpg

__all__ = ["Blockers", "blockers", "holder_of_earlier_lock"]

_POLL: Final = 0.2
"""Seconds between two looks at who holds up a migration."""
_SESSION: Final = (
    "format('%s (pid %s%s)', a.usename, a.pid, coalesce(', ' || nullif(a.application_name, ''), ''))"
)
_BLOCKING: Final = f"""
select coalesce(string_agg({_SESSION}, ', '), '') from pg_stat_activity a
    where a.pid = any (pg_blocking_pids($1))
"""  # noqa: S608 - a constant
_HOLDER: Final = f"""
select {_SESSION} from pg_locks l join pg_stat_activity a using (pid)
    where l.locktype = 'advisory' and l.granted and l.objsubid = 1 and l.database = a.datid
        and (l.classid::bigint << 32 | l.objid::bigint) = hashtext($1)
"""  # noqa: S608 - a constant


async def holder_of_earlier_lock(connection: Any, context: str) -> str:
    """Take the lock of earlier releases if it is free; else return which session holds it.

    Those releases wait for it, and so for this migration.
    """
    name = f"intent migrate {context}"
    if await connection.fetchval("select pg_try_advisory_xact_lock(hashtext($1))", name):
        return ""
    return await connection.fetchval(_HOLDER, name) or "another session"


class Blockers:
    """Who holds up a session, as another session of the same role sees it.

    Attributes:
        pid: The session that is watched, or None.
        seen: Who held it up when that was last looked at; empty: nobody was seen.
    """

    def __init__(self) -> None:
        self.pid: int | None = None
        self.seen = ""

    async def watch(self, connection: Any) -> None:
        """Look again and again, until cancelled or until the connection is lost."""
        while True:
            if self.pid is not None:
                self.seen = await connection.fetchval(_BLOCKING, self.pid) or self.seen
            await asyncio.sleep(_POLL)


@asynccontextmanager
async def blockers(dsn: str, watched: Blockers) -> AsyncIterator[None]:
    """Watch meanwhile who holds up a session, from another one."""
    connection = await asyncpg.connect(dsn, statement_cache_size=0)
    task = asyncio.create_task(watched.watch(connection))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        with suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await connection.close(timeout=5)
