"""Load in a closed loop: a number of callers, each with one call at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Load:
    """The result of a load.

    Attributes:
        calls: The number of calls that were answered in that time.
        seconds: The duration.
        latencies: The latency of each call, in seconds, sorted.
    """

    calls: int = 0
    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)

    def __add__(self, other: Load) -> Load:
        """Combine two turns of one load."""
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
    """Run calls for a time, or a given number of calls.

    Args:
        call: Makes one call; gets the number of its caller.
        callers: The number of concurrent callers.
        seconds: The time in which calls are started and answers counted.
        calls: The total number of calls, instead of a time.
        warm: Seconds at the start that are not counted.
    """
    latencies: list[float] = []
    started = 0
    start = time.perf_counter()
    count_from = start + warm
    end = count_from + seconds

    async def caller(number: int) -> None:
        nonlocal started
        while (started < calls) if calls else (time.perf_counter() < end):
            started += 1
            at = time.perf_counter()
            await call(number)
            done = time.perf_counter()
            if done >= count_from and (calls or done <= end):
                latencies.append(done - at)

    await asyncio.gather(*(caller(number) for number in range(callers)))
    elapsed = time.perf_counter() - count_from if calls else seconds
    return Load(len(latencies), elapsed, sorted(latencies))
