"""Following a log as a subscription does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from intent.background import Background
from intent.store import EventStore, LogFilter, LogFollower, LogPage, LogTail

__all__ = ["follow_log"]


async def follow_log(
    store: EventStore, after: int = 0, where: LogFilter | None = None, **options: Any
) -> AsyncIterator[LogPage]:
    """Yield the log page by page; see `LogFollower` for the options."""
    tail = LogTail(store, Background())
    async with tail.followed():
        follower = LogFollower(store, tail, after, where, **options)
        try:
            while (page := await follower.next()) is not None:
                yield page
        finally:
            await tail.stop()
