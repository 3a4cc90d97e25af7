"""Redelivery of a context's events to sagas, after Temporal's data was lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Final

from intent.auditing import AuditDatabase
from intent.consumers import ConsumerDatabase
from intent.process.local_actions import local_action
from intent.saga_host import FOLLOWER
from intent.settings.config import Settings
from intent.store.postgres import PostgresEventStore, PostgresSagaFollower

__all__ = ["redeliver"]

_LOOK_EVERY: Final = 1.0
_ABSENT: Final = 5
"""After so many looks without anybody who delivers, nobody does: one that was interrupted is back by then."""


async def redeliver(
    settings: Settings,
    context: str,
    after: int,
    report: Callable[[int, int], None] | None,
    reason: str = "",
) -> tuple[int, int]:
    """Have a context's processes deliver its events to sagas again, and watch them do it.

    Args:
        settings: The address of PostgreSQL.
        context: The context whose log is delivered.
        after: The position after which to start.
        report: Called about once a second with the position reached and the last position; None: do not
            watch, such as while Temporal is unavailable.
        reason: Why, for the audit.

    Returns:
        The position reached and the last position; the first is lower when no process of the context runs,
        or nobody watched.

    Raises:
        ConfigurationError: PostgreSQL does not answer, or is not prepared.
        StoreUnavailable: It stopped to answer.
    """
    async with AsyncExitStack() as stack:
        store = await PostgresEventStore.open(
            settings.database_url, context, connections=1, direct_dsn=settings.database_direct_url
        )
        stack.push_async_callback(store.close)
        await AuditDatabase(store.pool, context).write(
            [local_action("intent redeliver", reason, after=after)]
        )
        last = await PostgresSagaFollower(store.pool, context).rewind(after)
        consumers, absent = ConsumerDatabase(store.pool, context), 0
        while report is not None:
            position, instances = await _progress(consumers, after)
            report(position, last)
            absent = 0 if instances else absent + 1
            if position >= last or absent >= _ABSENT:
                return min(position, last), last
            await asyncio.sleep(_LOOK_EVERY)
        return after, last


async def _progress(consumers: ConsumerDatabase, after: int) -> tuple[int, int]:
    """Return how far the follower is, and how many processes take part; it begins with the first of them."""
    rows = [row for row in await consumers.own() if row.name == FOLLOWER.name]
    return (rows[0].position, rows[0].instances) if rows else (after, 0)
