"""Load in a closed loop: so many callers, each with one call at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Load:
    """What a load saw.

    Attributes:
        calls: Calls that were answered in that time.
        seconds: How long it ran.
        latencies: Of each call, in seconds, sorted.
    """

    calls: int = 0
    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)

    def __add__(self, other: Load) -> Load:
        """Puts two turns of one load together."""
        return Load(
            self.calls + other.calls, self.seconds + other.seconds, sorted(self.latencies + other.latencies)
        )

    @property
    def rate(self) -> float:
        return self.calls / self.seconds

    def percentile(self, share: float) -> float:
        return self.latencies[min(len(self.latencies) - 1, int(len(self.latencies) * share))]


async def closed_loop(
    call: Callable[[int], Awaitable[object]],
    *,
    callers: int,
    seconds: float = 0.0,
    calls: int = 0,
    warm: float = 0.0,
) -> Load:
    """Runs calls for a time, or a number of them.

    Args:
        call: One call; gets the number of its caller.
        callers: How many run side by side.
        seconds: How long new calls are begun, and answers counted.
        calls: How many in all, instead of a time.
        warm: Seconds at the beginning that are not counted.
    """
    latencies: list[float] = []
    begun = 0
    start = time.perf_counter()
    count_from = start + warm
    end = count_from + seconds

    async def caller(number: int) -> None:
        nonlocal begun
        while (begun < calls) if calls else (time.perf_counter() < end):
            begun += 1
            at = time.perf_counter()
            await call(number)
            done = time.perf_counter()
            if done >= count_from and (calls or done <= end):
                latencies.append(done - at)

    await asyncio.gather(*(caller(number) for number in range(callers)))
    elapsed = time.perf_counter() - count_from if calls else seconds
    return Load(len(latencies), elapsed, sorted(latencies))
