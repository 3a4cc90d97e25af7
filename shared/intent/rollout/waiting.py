"""Waits a bounded time for Temporal, telling what it waits for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import chain, repeat
from typing import TypeVar

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from intent.errors import ConfigurationError
from intent.settings.config import Settings
from intent.temporal.connection import connect_temporal

__all__ = ["Tell", "connect_patiently", "patiently", "until"]

T = TypeVar("T")
Tell = Callable[[str], None]
"""Takes a sentence for a person who watches."""

_PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0)
"""Seconds between attempts; the last is for all further ones."""
_PASSING = {
    RPCStatusCode.UNAVAILABLE,
    RPCStatusCode.DEADLINE_EXCEEDED,
    RPCStatusCode.RESOURCE_EXHAUSTED,
    RPCStatusCode.CANCELLED,
}


async def connect_patiently(settings: Settings, wait: float, tell: Tell) -> Client:
    """Connects to Temporal, trying for `wait` seconds.

    Raises:
        ConfigurationError: It does not answer in time; carries the last reason.
    """

    async def connected() -> Client:
        return await connect_temporal(settings)

    return await patiently(connected, wait, tell, passing=lambda error: isinstance(error, ConfigurationError))


async def patiently(
    work: Callable[[], Awaitable[T]],
    wait: float,
    tell: Tell,
    passing: Callable[[Exception], bool] | None = None,
) -> T:
    """Does work, again for `wait` seconds while it fails with what may pass.

    Args:
        work: What is done.
        wait: Seconds.
        tell: Gets a sentence whenever the reason for the next attempt is a new one.
        passing: Whether an error may pass; by default what Temporal says when it is away or busy.

    Raises:
        Exception: The last error, when time is over or it does not pass.
    """
    told = ""
    async for last in _attempts(wait):
        try:
            return await work()
        except Exception as error:
            if last or not (passing or _passing)(error):
                raise
            if str(error) != told:
                told = str(error)
                tell(f"waiting: {told}")
    raise AssertionError("the last attempt returns or raises")


async def until(problem: Callable[[], Awaitable[str]], wait: float, tell: Tell) -> str:
    """Asks what is still missing until nothing is, for `wait` seconds; returns what is missing then."""
    told = ""
    async for last in _attempts(wait):
        missing = await problem()
        if not missing or last:
            break
        if missing != told:
            told = missing
            tell(f"waiting: {missing}")
    return missing


async def _attempts(wait: float) -> AsyncIterator[bool]:
    """Yields once for each attempt within `wait` seconds, with growing pauses: whether it is the last."""
    loop = asyncio.get_running_loop()
    end = loop.time() + wait
    for pause in chain(_PAUSES, repeat(_PAUSES[-1])):
        left = end - loop.time()
        yield left <= 0
        if left <= 0:
            return
        await asyncio.sleep(min(pause, left))


def _passing(error: Exception) -> bool:
    return isinstance(error, RPCError) and error.status in _PASSING
