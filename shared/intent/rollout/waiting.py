"""Waiting for Temporal for a limited time, with a report of what is waited for."""

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

__all__ = ["Report", "connect_patiently", "patiently", "until"]

T = TypeVar("T")
Report = Callable[[str], None]
"""Gets a sentence for the user."""

_PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0)
"""Seconds between attempts; the last one repeats."""
_TRANSIENT = {
    RPCStatusCode.UNAVAILABLE,
    RPCStatusCode.DEADLINE_EXCEEDED,
    RPCStatusCode.RESOURCE_EXHAUSTED,
    RPCStatusCode.CANCELLED,
}


async def connect_patiently(settings: Settings, wait: float, report: Report) -> Client:
    """Connect to Temporal, trying for `wait` seconds.

    Raises:
        ConfigurationError: It does not answer in time; the message has the last reason.
    """

    async def connected() -> Client:
        return await connect_temporal(settings)

    return await patiently(
        connected, wait, report, transient=lambda error: isinstance(error, ConfigurationError)
    )


async def patiently(
    work: Callable[[], Awaitable[T]],
    wait: float,
    report: Report,
    transient: Callable[[Exception], bool] | None = None,
) -> T:
    """Do work, and repeat it for `wait` seconds while it fails with transient errors.

    Args:
        work: The work.
        wait: Seconds.
        report: Gets a sentence whenever the reason for the next attempt is a new one.
        transient: Returns whether an error may pass; by default, those of an unavailable or busy Temporal.

    Raises:
        Exception: The last error, when the time is over or it is not transient.
    """
    reported = ""
    async for last in _attempts(wait):
        try:
            return await work()
        except Exception as error:
            if last or not (transient or _transient)(error):
                raise
            if str(error) != reported:
                reported = str(error)
                report(f"waiting: {reported}")
    raise AssertionError("the last attempt returns or raises")


async def until(problem: Callable[[], Awaitable[str]], wait: float, report: Report) -> str:
    """Wait until nothing is missing any more, for `wait` seconds; return what is still missing then."""
    reported = ""
    async for last in _attempts(wait):
        missing = await problem()
        if not missing or last:
            break
        if missing != reported:
            reported = missing
            report(f"waiting: {missing}")
    return missing


async def _attempts(wait: float) -> AsyncIterator[bool]:
    """Yield for each attempt within `wait` seconds, with growing pauses, whether it is the last."""
    loop = asyncio.get_running_loop()
    end = loop.time() + wait
    for pause in chain(_PAUSES, repeat(_PAUSES[-1])):
        left = end - loop.time()
        yield left <= 0
        if left <= 0:
            return
        await asyncio.sleep(min(pause, left))


def _transient(error: Exception) -> bool:
    return isinstance(error, RPCError) and error.status in _TRANSIENT
