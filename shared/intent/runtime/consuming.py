"""Serves the consumers of a context's events in its process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from intent.consumers import ConsumerDatabase, ConsumerHost
from intent.runtime.metrics import Metrics
from intent.store.postgres import PostgresEventStore

__all__ = ["serving_consumers"]

_WORD: Final = "consumers"
"""What processes tell each other when they have something to look at."""


@asynccontextmanager
async def serving_consumers(
    store: PostgresEventStore, context: str, metrics: Metrics
) -> AsyncIterator[ConsumerHost]:
    """Serves consumers while the context manager is entered."""
    database = ConsumerDatabase(store.pool, context)
    host = ConsumerHost(store, database, tell=lambda: store.wake_ups.tell(_WORD))
    store.wake_ups.on(_WORD, host.look)
    metrics.watch_consumers(host.counters)
    await host.start()
    try:
        yield host
    finally:
        await host.stop()
