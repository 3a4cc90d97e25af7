"""Connections to PostgreSQL: how many, how long each may take, and what ends one.

A statement is given up by the server, by its own time-outs, and never cancelled by the client: a server
that waits for a synchronous standby takes a cancellation for the permission to commit without it. Where
the server is silent, the client closes the connection, which leaves the commit to the server.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import asyncpg

from intent.errors import ConfigurationError, ServerUnavailable
from intent.settings.database_urls import DatabaseUrl, database_url
from intent.store.postgres.poolers import is_pooled, pooler_in, set_defaults, unknown_pooler
from intent.waiting import now

__all__ = ["ConnectionPool", "connection_options", "open_pool", "require_direct"]

T = TypeVar("T")

_CONNECT: Final = 5.0
"""Seconds that opening a connection may take."""
_COMMIT: Final = 3.0
"""How many times as long as any other statement one may take that waits for its commit: no time-out of
the server applies to a commit."""
_NEVER: Final = 7 * 24 * 3600.0
"""Seconds; asyncpg cancels when its own time-out passes, so that one must not."""
_WRONG: Final = (
    asyncpg.InvalidCatalogNameError,
    asyncpg.ClientConfigurationError,
    ValueError,
)
"""What a wrong URL meets, which waiting does not correct."""
_DOWN: Final = (OSError, asyncpg.PostgresError, asyncpg.InternalClientError, asyncpg.InterfaceError)
_DIRECT: Final = "INTENT_DATABASE_DIRECT_URL"
_OTHER_EPOCH: Final = "IE001"
"""What the schema answers when a statement rests on an epoch of the log that is over."""


class ConnectionPool:
    """A pool of connections of one role; `open_pool` opens one.

    Args:
        pool: asyncpg's pool.
        timeout: Seconds that one call may take, including the wait for a connection.
        direct_dsn: The address of the server itself.
        opening: What is done with each connection first.
    """

    def __init__(self, pool: Any, timeout: float, direct_dsn: str, opening: _Opening) -> None:
        self._opening = opening
        self._pool = pool
        self._timeout = timeout
        self._direct_dsn = direct_dsn
        self._left: set[asyncio.Task[Any]] = set()

    def on_connect(self, call: Callable[[Any], Awaitable[None]]) -> None:
        """Call with each new connection before any statement uses it."""
        self._opening.call = call

    async def fetch(self, statement: str, *arguments: Any) -> Any:
        """Run a statement in a transaction of its own and return its rows."""
        return await self._run(lambda c: c.fetch(statement, *arguments, timeout=_NEVER), self._timeout)

    async def fetchrow(self, statement: str, *arguments: Any) -> Any:
        """Run a statement in a transaction of its own and return its first row."""
        return await self._run(lambda c: c.fetchrow(statement, *arguments, timeout=_NEVER), self._timeout)

    async def fetchval(self, statement: str, *arguments: Any) -> Any:
        """Run a statement in a transaction of its own and return the first value of its first row."""
        return await self._run(lambda c: c.fetchval(statement, *arguments, timeout=_NEVER), self._timeout)

    async def commit(self, statement: str, *arguments: Any) -> Any:
        """Run a statement whose commit may wait for a standby, and return its first row."""
        patience = self._timeout * _COMMIT
        return await self._run(lambda c: c.fetchrow(statement, *arguments, timeout=_NEVER), patience)

    async def execute(self, statement: str) -> Any:
        """Run statements without arguments."""
        return await self._run(lambda c: c.execute(statement, timeout=_NEVER), self._timeout)

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[Any]:
        """Take a connection for several statements.

        Raises:
            TimeoutError: None is free in time.
        """
        async with (
            self._pool.acquire(timeout=self._timeout) as connection,
            _closed_when_of_another(self._pool, connection),
        ):
            yield connection

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[Any]:
        """Open a further connection for statements that take hours: no time-out applies to them."""
        connection = await asyncpg.connect(
            self._direct_dsn, **connection_options(self._direct_dsn, timeout=0)
        )
        try:
            yield connection
        finally:
            with suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await connection.close(timeout=_CONNECT)

    def terminate(self) -> None:
        """Close all connections; calls in progress fail."""
        self._pool.terminate()

    async def _run(self, call: Callable[[Any], Coroutine[Any, Any, T]], patience: float) -> T:
        """Run one statement to its end or its time-out, even if the caller no longer waits.

        Raises:
            TimeoutError: No connection is free in time, or the server is silent.
        """
        statement = _Statement(self._pool, self._timeout)
        task = asyncio.create_task(statement.run(call))
        end = now() + patience
        try:
            done, _ = await asyncio.wait((task,), timeout=patience)
        except asyncio.CancelledError:
            self._leave(task, statement, end)
            raise
        if not done:
            statement.give_up(task)
            await asyncio.gather(task, return_exceptions=True)
            raise TimeoutError(f"no answer within {patience:g} s")
        return task.result()

    def _leave(self, task: asyncio.Task[Any], statement: _Statement, end: float) -> None:
        """Let a statement end by itself."""
        timer = asyncio.get_running_loop().call_at(end, statement.give_up, task)

        def ended(_: asyncio.Task[Any]) -> None:
            timer.cancel()
            self._left.discard(task)
            if not task.cancelled():
                task.exception()

        self._left.add(task)
        task.add_done_callback(ended)
        statement.unwanted = True


@dataclass(slots=True)
class _Statement:
    """One statement on its way.

    Attributes:
        pool: Where its connection comes from.
        wait: Seconds to wait for one.
        connection: Its connection, once it has one.
        unwanted: Whether its caller has gone; then it is not sent any more.
    """

    pool: Any
    wait: float
    connection: Any = field(default=None)
    unwanted: bool = field(default=False)

    async def run(self, call: Callable[[Any], Coroutine[Any, Any, T]]) -> T:
        async with self.pool.acquire(timeout=self.wait) as connection:
            if self.unwanted:
                raise asyncio.CancelledError
            self.connection = connection
            async with _closed_when_of_another(self.pool, connection):
                return await call(connection)

    def give_up(self, task: asyncio.Task[Any]) -> None:
        """Close the connection, or stop waiting for one."""
        if self.connection is None:
            task.cancel()
        else:
            self.connection.terminate()


@asynccontextmanager
async def _closed_when_of_another(pool: Any, connection: Any) -> AsyncIterator[None]:
    """Close a connection whose server is not the one to write to, or has another history than was thought.

    A new one finds the right server, and what that one knows.
    """
    try:
        yield
    except asyncpg.ReadOnlySQLTransactionError:
        connection.terminate()
        raise
    except asyncpg.PostgresError as error:
        if error.sqlstate == _OTHER_EPOCH:
            # The others lead to the same server.
            await pool.expire_connections()
        raise


class _Opening:
    """What is done with each connection of a pool first."""

    def __init__(self) -> None:
        self.call: Callable[[Any], Awaitable[None]] | None = None

    async def __call__(self, connection: Any) -> None:
        if self.call is not None:
            await self.call(connection)


async def open_pool(
    dsn: str,
    *,
    connections: int,
    timeout: float = 10.0,
    idle: float = 0.0,
    direct_dsn: str = "",
    read_only: bool = False,
    check: bool = True,
) -> ConnectionPool:
    """Open a pool of connections.

    Args:
        dsn: The address of the database, with the role.
        connections: How many at most.
        timeout: Seconds that one call may take.
        idle: Seconds after which an unused connection is closed; 0: never.
        direct_dsn: The address of the server itself, where `dsn` leads to a pooler that gives each
            transaction any of its connections; empty: it does not.
        read_only: Whether a standby serves as well.
        check: Whether to open a connection at once.

    Raises:
        ServerUnavailable: The server does not answer or refuses the role, which may change.
        ConfigurationError: The address is wrong, or there is no such database.
    """
    if not dsn:
        raise ConfigurationError("no database is set; set INTENT_DATABASE_URL")
    opening = _Opening()
    try:
        pool = await asyncpg.create_pool(
            dsn,
            # With a minimum, the pool would log each failure to open one while the server is unavailable.
            min_size=0,
            max_size=connections,
            max_inactive_connection_lifetime=idle,
            reset=_keep,
            init=opening,
            **connection_options(dsn, timeout=timeout, pooler=bool(direct_dsn), read_only=read_only),
        )
        if check:
            await _check(pool, timeout, pooler=bool(direct_dsn))
        return ConnectionPool(pool, timeout, direct_dsn or dsn, opening)
    except _WRONG as error:
        raise ConfigurationError(_refusal(error)) from error
    except _DOWN as error:
        if unknown_pooler(error):
            raise pooler_in("INTENT_DATABASE_URL", error) from error
        raise ServerUnavailable(_refusal(error)) from error


async def _check(pool: Any, timeout: float, *, pooler: bool) -> None:
    """Open a connection of a pool, and see to it that time-outs of the server apply to all.

    Raises:
        ConfigurationError: It leads to a pooler that the settings do not mention.
    """
    try:
        async with pool.acquire(timeout=timeout) as connection:
            if pooler:
                await set_defaults(connection, _defaults(timeout))
                return
            pooled = await is_pooled(connection)
        if pooled:
            raise pooler_in("INTENT_DATABASE_URL")
    except BaseException:
        pool.terminate()
        raise


async def require_direct(dsn: str, timeout: float) -> None:
    """Require that an address leads past all poolers, and prepare the role for those that it leads past.

    Raises:
        ServerUnavailable: The server does not answer, or not yet.
        ConfigurationError: The address leads to a pooler, or the address or the role is wrong.
    """
    try:
        connection = await asyncpg.connect(dsn, **connection_options(dsn, timeout=timeout))
        try:
            pooled = await is_pooled(connection)
            await set_defaults(connection, _defaults(timeout))
        finally:
            await connection.close(timeout=_CONNECT)
    except _WRONG as error:
        raise ConfigurationError(_refusal(error, _DIRECT)) from error
    except _DOWN as error:
        if unknown_pooler(error):
            raise pooler_in(_DIRECT, error) from error
        raise ServerUnavailable(_refusal(error, _DIRECT)) from error
    if pooled:
        raise pooler_in(_DIRECT)


def _refusal(error: Exception, variable: str = "INTENT_DATABASE_URL") -> str:
    reason = str(error) or type(error).__name__
    return f"PostgreSQL does not let the service in: {reason}; check {variable} and that it runs"


def connection_options(
    dsn: str, *, timeout: float, pooler: bool = False, read_only: bool = False
) -> dict[str, Any]:
    """Return how asyncpg is to connect.

    Args:
        dsn: The address of the database.
        timeout: Seconds that one statement may take; 0: as many as it needs.
        pooler: Whether it leads to a pooler that gives each transaction any of its connections.
        read_only: See `open_pool`.

    Raises:
        ConfigurationError: The address is wrong.
    """
    url = database_url(dsn)
    options: dict[str, Any] = {
        "timeout": _CONNECT,
        "command_timeout": timeout * _COMMIT or _NEVER,
        "server_settings": {"application_name": "intent"},
    }
    if pooler:
        # What is prepared on one of the pooler's connections is not known to the next.
        options["statement_cache_size"] = 0
    else:
        options["server_settings"] |= _defaults(timeout)
    wanted = _wanted_server(url)
    if not read_only and not wanted:
        options["target_session_attrs"] = "read-write"
    elif read_only and wanted == "read-write":
        # A role that reads cannot write anywhere; what is meant is the server that is written to.
        options["target_session_attrs"] = "primary"
    return options


def _defaults(seconds: float) -> dict[str, str]:
    """Return the settings of a session: the server is to give up before the client does."""
    statement = int(seconds * 900)
    return {
        "jit": "off",
        "statement_timeout": str(statement),
        "lock_timeout": str(statement // 2),
        "idle_in_transaction_session_timeout": str(statement),
    }


def _wanted_server(url: DatabaseUrl) -> str:
    """Return which of several servers the URL or the environment asks for; empty: they say nothing."""
    return url.parameters.get("target_session_attrs", "") or os.environ.get("PGTARGETSESSIONATTRS", "")


async def _keep(_: Any) -> None:
    """Leave a released connection as it is.

    The platform sets nothing beyond a transaction, and a reset costs a round trip each time.
    """
