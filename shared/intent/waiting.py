"""Waiting for something for a limited time, and the clock by which such times are measured."""

from __future__ import annotations

import asyncio

__all__ = ["now", "set_within"]


def now() -> float:
    """Return the time of the running event loop, in seconds; it has no fixed origin."""
    return asyncio.get_running_loop().time()


async def set_within(event: asyncio.Event, seconds: float | None) -> bool:
    """Wait until an event is set, at most for some seconds; None: without a limit.

    Returns:
        Whether it was set in time.
    """
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False
