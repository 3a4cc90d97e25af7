"""What may go wrong with the PostgreSQL of one context while its processes run: begin it, lift it.

    async with fault(database, "read-only"):
        ...

Only the roles of the context are affected, save by "silence", which stops the whole server from
accepting connections. A fault that is like a failover ends the roles' connections when it begins, since
connections that exist would not notice it.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final, Protocol

import asyncpg
from intent.store.roles import RoleNames, quoted

__all__ = ["FAULTS", "Faulted", "begin", "fault"]

Undo = Callable[[], Any]

_SERVER_ENDS: Final = (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, asyncpg.AdminShutdownError)


class Faulted(Protocol):
    """A context's database; `tests.support.databases.Database` is one.

    Attributes:
        context: The context.
        admin: The URL for an administrator of the server.
    """

    @property
    def context(self) -> str: ...

    @property
    def admin(self) -> str: ...


@asynccontextmanager
async def fault(database: Faulted, name: str) -> AsyncIterator[None]:
    """Let one of `FAULTS` happen for the duration of the context manager."""
    lift = await begin(database, name)
    try:
        yield
    finally:
        await lift()


async def begin(database: Faulted, name: str) -> Callable[[], Any]:
    """Let one of `FAULTS` begin; return an async function that lifts it, to be called once."""
    victim = _Victim(await asyncpg.connect(database.admin), RoleNames.of(database.context))
    try:
        undo = await _FAULTS[name](victim)
    except BaseException:
        await victim.connection.close()
        raise

    async def lift() -> None:
        if victim.connection.is_closed():  # The server was restarted meanwhile.
            victim.connection = await asyncpg.connect(database.admin)
        try:
            await undo()
        finally:
            await victim.connection.close()

    return lift


class _Victim:
    """The roles of a context that log in to serve it, and an administrator's connection.

    Args:
        connection: The connection.
        names: The names of the context.
    """

    def __init__(self, connection: Any, names: RoleNames) -> None:
        self.connection = connection
        self.names = names
        self.roles = (names.service, names.query)

    async def alter(self, change: str) -> None:
        """Change each role."""
        for role in self.roles:
            await self.connection.execute(f"alter role {quoted(role)} {change}")

    async def backends(self) -> list[int]:
        """Return the processes that serve the roles' connections."""
        rows = await self.connection.fetch(
            "select pid from pg_stat_activity where usename = any($1)", self.roles
        )
        return [row["pid"] for row in rows]

    async def disconnect(self) -> None:
        """End the roles' connections."""
        for pid in await self.backends():
            await self.connection.fetchval("select pg_terminate_backend($1)", pid)


def _role(change: str, back: str) -> Callable[[_Victim], Any]:
    async def start(victim: _Victim) -> Undo:
        await victim.alter(change)
        await victim.disconnect()
        return lambda: victim.alter(back)

    return start


async def _password(victim: _Victim) -> Undo:
    rows = await victim.connection.fetch(
        "select rolname, rolpassword from pg_authid where rolname = any($1)", victim.roles
    )
    await victim.alter("password 'another'")
    await victim.disconnect()

    async def undo() -> None:
        for row in rows:
            await victim.connection.execute(
                f"alter role {quoted(row['rolname'])} password '{row['rolpassword']}'"
            )

    return undo


async def _grant(victim: _Victim) -> Undo:
    names = victim.names
    losers = ", ".join(map(quoted, (names.service, names.query, names.log, names.projector)))
    await victim.connection.execute(f"revoke usage on schema {quoted(names.schema)} from {losers}")
    return lambda: victim.connection.execute(f"grant usage on schema {quoted(names.schema)} to {losers}")


async def _locked(victim: _Victim) -> Undo:
    tables = await victim.connection.fetch(
        "select tablename from pg_tables where schemaname = $1 order by tablename", victim.names.schema
    )
    schema = quoted(victim.names.schema)
    all_of_them = ", ".join(f"{schema}.{quoted(table['tablename'])}" for table in tables)
    while True:
        try:
            await victim.connection.execute(f"begin; lock table {all_of_them} in access exclusive mode")
            break
        except asyncpg.DeadlockDetectedError:
            await victim.connection.execute("rollback")
    return lambda: victim.connection.execute("rollback")


async def _reset(victim: _Victim) -> Undo:
    async def again_and_again() -> None:
        while not victim.connection.is_closed():
            with suppress(*_SERVER_ENDS):
                await victim.disconnect()
            await asyncio.sleep(0.2)

    resetting = asyncio.create_task(again_and_again(), name="fault: reset")

    async def undo() -> None:
        resetting.cancel()
        with suppress(asyncio.CancelledError):
            await resetting

    return undo


async def _silence(victim: _Victim) -> Undo:
    """Stop the roles' backends and the server's main process: connections stay open and say nothing."""
    own = await victim.connection.fetchval("select pg_backend_pid()")
    main = _parent(own)
    stopped = [main]
    os.kill(main, signal.SIGSTOP)
    for pid in await victim.backends():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
            stopped.append(pid)

    async def undo() -> None:
        for pid in reversed(stopped):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    return undo


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


_FAULTS: Final[Mapping[str, Callable[[_Victim], Any]]] = {
    "grant": _grant,
    "limit": _role("connection limit 0", "connection limit -1"),
    "locked": _locked,
    "login": _role("nologin", "login"),
    "password": _password,
    "read-only": _role("set default_transaction_read_only = on", "reset default_transaction_read_only"),
    "reset": _reset,
    "silence": _silence,
}

FAULTS: Final = sorted(_FAULTS)
"""The names of the faults."""
