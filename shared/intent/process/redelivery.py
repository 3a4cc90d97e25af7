"""Redelivery of a context's events to sagas, after Temporal's data was lost."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack

from intent.model import BoundContext
from intent.saga_host import EventDelivery
from intent.settings.config import Settings
from intent.store.postgres import PostgresEventStore
from intent.temporal.connection import connect_temporal, require_namespace

__all__ = ["redeliver"]

_PAGE = 500


async def redeliver(
    settings: Settings, context: BoundContext, after: int, report: Callable[[int, int], None]
) -> int:
    """Deliver a context's events to every saga that listens, in the order of the log.

    Args:
        settings: The addresses of PostgreSQL and Temporal.
        context: The context whose log is delivered.
        after: The position after which to start.
        report: Called after each page with the position reached and the last position.

    Returns:
        The number of deliveries.

    Raises:
        ConfigurationError: PostgreSQL or Temporal does not answer, or is not prepared.
    """
    async with AsyncExitStack() as stack:
        store = await PostgresEventStore.open(
            settings.database_url, context.name, connections=1, direct_dsn=settings.database_direct_url
        )
        stack.push_async_callback(store.close)
        client = await connect_temporal(settings)
        await require_namespace(client)
        delivery, last, delivered = EventDelivery(context, client, again=True), await store.position(), 0
        while after < last and (entries := await store.read_log(after, _PAGE)):
            delivered += await delivery.deliver(entries)
            after = entries[-1].position
            report(after, last)
        return delivered
