"""The PostgreSQL adapter of the event store."""

from intent.store.postgres.connections import open_pool, unavailable
from intent.store.postgres.event_store import PostgresEventStore
from intent.store.postgres.wakeups import WakeUps

__all__ = [
    "PostgresEventStore",
    "WakeUps",
    "open_pool",
    "unavailable",
]
