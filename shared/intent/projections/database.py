"""The tables of read models, as a process of the context accesses them.

Only the projector role writes the rows of every tenant. A process assumes it for single
transactions, never for a connection.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import asyncpg

from intent.store.postgres.connections import unavailable
from intent.store.postgres.pools import ConnectionPool
from intent.store.roles import quoted

__all__ = ["GENERATION_GONE", "ProjectionDatabase"]

GENERATION_GONE = (asyncpg.UndefinedFunctionError, asyncpg.UndefinedTableError)
"""What PostgreSQL answers when the tables of a generation were replaced and removed."""


class ProjectionDatabase:
    """Runs statements and transactions on the tables of a context's read models.

    Args:
        pool: Connections of the service role.
        schema: The context's schema.
        role: The role that may write the rows of every tenant; by default ``<schema>_projector``.

    Attributes:
        schema: The schema.
        losses: How many connections have ended; when it grows, the server may have crashed and
            lost commits that were not durable.
    """

    def __init__(self, pool: ConnectionPool, schema: str, role: str | None = None) -> None:
        self.schema = schema
        self.losses = 0
        self._pool = pool
        self._on_loss: Callable[[], None] = _nothing
        self._begin = f"begin; set local role {quoted(role or f'{schema}_projector')}"

    def on_loss(self, call: Callable[[], None]) -> None:
        """Register what to call whenever a connection has ended."""
        self._on_loss = call

    async def fetch(self, statement: str, *arguments: Any) -> Sequence[Any]:
        """Run one statement in its own transaction and return its rows.

        Raises:
            StoreUnavailable: The database is unavailable; whether the statement had its effect is unknown.
        """
        with unavailable(*GENERATION_GONE):
            async with self._pool.acquire() as connection:
                connection.add_termination_listener(self.lost)
                rows: Sequence[Any] = await connection.fetch(statement, *arguments)
                return rows

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        """Run a transaction in the projector role and yield its connection.

        Raises:
            StoreUnavailable: The database is unavailable; the outcome of a commit is unknown.
        """
        async with self._within(self._pool.acquire()) as connection:
            yield connection

    @asynccontextmanager
    async def long_transaction(self) -> AsyncIterator[Any]:
        """Run a transaction without time-outs on a connection of its own; see `transaction`."""
        async with self._within(self._pool.alone()) as connection:
            yield connection

    @asynccontextmanager
    async def _within(self, connecting: AbstractAsyncContextManager[Any]) -> AsyncIterator[Any]:
        with unavailable(*GENERATION_GONE):
            async with connecting as connection:
                connection.add_termination_listener(self.lost)
                await connection.execute(self._begin)
                try:
                    yield connection
                    await connection.execute("commit")
                except BaseException:
                    await _roll_back(connection)
                    raise

    def lost(self, _connection: Any = None) -> None:
        """Note that a connection has ended."""
        self.losses += 1
        self._on_loss()


def _nothing() -> None:
    return None


async def _roll_back(connection: Any) -> None:
    """End the transaction; close a connection that cannot even do that."""
    try:
        if not connection.is_closed():
            await connection.execute("rollback")
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        connection.terminate()
