"""The PostgreSQL adapter of the event store."""

from intent.store.postgres.connections import unavailable
from intent.store.postgres.doubts import PostgresDoubts
from intent.store.postgres.event_store import PostgresEventStore
from intent.store.postgres.pools import ConnectionPool, open_pool
from intent.store.postgres.saga_ends import PostgresSagaEnds, SagaEnd
from intent.store.postgres.saga_follower import FollowerMarks, PostgresSagaFollower
from intent.store.postgres.wakeups import WakeUps

__all__ = [
    "ConnectionPool",
    "FollowerMarks",
    "PostgresDoubts",
    "PostgresEventStore",
    "PostgresSagaEnds",
    "PostgresSagaFollower",
    "SagaEnd",
    "WakeUps",
    "open_pool",
    "unavailable",
]
