"""The connections to PostgreSQL: a pool for each kind of work, so that none holds up another."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass

from intent.background import Background
from intent.projections.environment import RebuildAccess
from intent.settings.config import Settings
from intent.store.postgres import ConnectionPool, PostgresEventStore, open_pool

__all__ = ["Databases", "opened_databases"]

_IDLE = 60.0
"""Seconds after which a connection of a rebuild is closed: most of the time there is none."""


@dataclass(frozen=True, slots=True)
class Databases:
    """The event store of a process, over the connections of each kind of work.

    Attributes:
        commands: For appends and loads, and for callers who read the log.
        projections: For projections.
        rebuilds: For rebuilds.
        consumers: For the consumers that the process serves.
    """

    commands: PostgresEventStore
    projections: PostgresEventStore
    rebuilds: RebuildAccess
    consumers: PostgresEventStore


@asynccontextmanager
async def opened_databases(
    settings: Settings, context: str, background: Background
) -> AsyncIterator[Databases]:
    """Connect as the service role for the duration of the context manager.

    Raises:
        ServerUnavailable: PostgreSQL does not answer, or refuses the role.
        ConfigurationError: The schema is not migrated.
    """
    store = await PostgresEventStore.open(
        settings.database_url,
        context,
        connections=settings.database_connections,
        direct_dsn=settings.database_direct_url,
        background=background,
    )
    try:
        with ExitStack() as stack:
            projections = await _pool(settings, settings.projection_connections, stack)
            rebuilds = await _pool(settings, settings.rebuild_connections, stack, idle=_IDLE)
            consumers = await _pool(settings, settings.consumer_connections, stack)
            yield Databases(
                store,
                store.over(projections),
                RebuildAccess(store.over(rebuilds), rebuilds),
                store.over(consumers),
            )
    finally:
        await store.close()


async def _pool(
    settings: Settings, connections: int, stack: ExitStack, *, idle: float = 0.0
) -> ConnectionPool:
    pool = await open_pool(
        settings.database_url,
        connections=connections,
        direct_dsn=settings.database_direct_url,
        idle=idle,
        check=False,
    )
    stack.callback(pool.terminate)
    return pool
