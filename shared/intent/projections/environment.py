"""What every projection of a process shares."""

from __future__ import annotations

from dataclasses import dataclass

from intent.guarding import Guard
from intent.projections.database import ProjectionDatabase
from intent.read_models.folding import Decode
from intent.store.event_store import EventStore
from intent.store.postgres.pools import ConnectionPool

__all__ = ["Environment", "RebuildAccess"]


@dataclass(frozen=True, slots=True)
class RebuildAccess:
    """Connections of rebuilds, which nothing else waits for.

    Attributes:
        store: The log, read over these connections.
        pool: The connections.
    """

    store: EventStore
    pool: ConnectionPool


@dataclass(frozen=True, slots=True)
class Environment:
    """Where projections read and write.

    Attributes:
        store: The log.
        database: The tables of the read models.
        decode: Parses the events; the context's upcasters do.
        worker: Names this process.
        guard: What the code of projections runs under.
    """

    store: EventStore
    database: ProjectionDatabase
    decode: Decode
    worker: str
    guard: Guard
