"""Connections to PostgreSQL, and what its errors mean: away for now, or values it cannot keep."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import asyncpg

from intent.errors import ConfigurationError, StoreUnavailable
from intent.store.storable import not_storable

__all__ = ["open_pool", "storable", "unavailable"]

_AWAY: Final = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.TransactionRollbackError,
    asyncpg.LockNotAvailableError,
)
"""What a retry may mend: lost connections, a server that stops or starts, locks, deadlocks.

Among the client's own errors are those of a connection that is just breaking.
"""


@contextmanager
def unavailable() -> Iterator[None]:
    """Turns errors that a retry may mend into `StoreUnavailable`."""
    try:
        yield
    except _AWAY as error:
        raise StoreUnavailable(f"PostgreSQL is away: {str(error) or type(error).__name__}") from error


@contextmanager
def storable() -> Iterator[None]:
    """Turns the refusal of a value, by the driver or by the server, into `InvalidCommand`."""
    try:
        yield
    except asyncpg.DataError as error:
        # The driver's own message shows the values of the whole batch; its cause says enough.
        raise not_storable(str(error.__cause__ or error)) from error


async def _keep(_: Any) -> None:
    """Leaves a released connection as it is.

    The platform sets nothing beyond a transaction, and resetting costs a round trip each time.
    """


async def open_pool(dsn: str, *, connections: int, timeout: float = 10.0) -> Any:
    """Opens a pool of connections.

    Args:
        dsn: Where and as whom.
        connections: How many at most.
        timeout: Seconds that one statement may take.

    Raises:
        ConfigurationError: The server does not answer, or does not let the role in.
    """
    if not dsn:
        raise ConfigurationError("no database is set; set INTENT_DATABASE_URL")
    try:
        pool = await asyncpg.create_pool(
            dsn,
            # None is kept open by force: while the server is away, the pool would log each failure.
            min_size=0,
            max_size=connections,
            command_timeout=timeout,
            timeout=5,
            max_inactive_connection_lifetime=0,
            reset=_keep,
            server_settings={"application_name": "intent", "jit": "off"},
        )
        async with pool.acquire():
            return pool
    except (OSError, TimeoutError, asyncpg.PostgresError, ValueError) as error:
        raise ConfigurationError(
            f"PostgreSQL does not let the service in: {error}; check INTENT_DATABASE_URL and that it runs"
        ) from error
