"""The PostgreSQL adapter of the event store."""

from intent.store.postgres.connections import open_pool as open_pool
from intent.store.postgres.connections import unavailable as unavailable
from intent.store.postgres.event_store import PostgresEventStore as PostgresEventStore
from intent.store.postgres.wakeups import WakeUps as WakeUps

__all__ = ["PostgresEventStore", "WakeUps", "open_pool", "unavailable"]
