"""Transactions of the projector role, the only one that writes the rows of every tenant."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from intent.projections.statements import quoted
from intent.store.postgres.connections import unavailable

__all__ = ["ProjectionDatabase"]

_LIVE = "set local synchronous_commit = off;"
"""Rows and checkpoint can be made again from the log, so no commit waits for the disk."""

_PLAN = "set local enable_seqscan = off; set local plan_cache_mode = force_generic_plan;"
"""A table that was empty when its statements were planned must not be read whole later."""


class ProjectionDatabase:
    """Opens transactions on the tables of a context's read models.

    Args:
        pool: Connections of the service role.
        schema: The context's schema.
        role: The role that may write the rows of every tenant; by default ``<schema>_projector``.

    Attributes:
        schema: The schema.
        losses: How many connections have ended; when it grows, the server may have crashed and
            lost commits that were not durable.
    """

    def __init__(self, pool: asyncpg.Pool, schema: str, role: str | None = None) -> None:
        self.schema = schema
        self.losses = 0
        self._pool = pool
        self._on_loss: Callable[[], None] = _nothing
        become = f"begin; set local role {quoted(role or f'{schema}_projector')};"
        self._begin_live = f"{become} {_LIVE} {_PLAN}"
        self._begin_durable = become

    def on_loss(self, call: Callable[[], None]) -> None:
        """Calls back whenever a connection has ended."""
        self._on_loss = call

    @asynccontextmanager
    async def transaction(self, *, durable: bool = False) -> AsyncIterator[Any]:
        """Runs a transaction in the projector role and yields its connection.

        Args:
            durable: True to have the commit survive a crash of the server.

        Raises:
            StoreUnavailable: The database is away; the outcome of a commit is unknown.
        """
        with unavailable():
            async with self._pool.acquire() as connection:
                connection.add_termination_listener(self._lost)
                await connection.execute(self._begin_durable if durable else self._begin_live)
                try:
                    yield connection
                    await connection.execute("commit")
                except BaseException:
                    await _roll_back(connection)
                    raise

    def _lost(self, _connection: Any) -> None:
        self.losses += 1
        self._on_loss()


def _nothing() -> None:
    return None


async def _roll_back(connection: Any) -> None:
    """Ends the transaction; a connection that cannot even do that is thrown away."""
    try:
        if not connection.is_closed():
            await connection.execute("rollback")
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        connection.terminate()
