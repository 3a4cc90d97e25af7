"""Reads the logs of several contexts as one, in the order of time."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator, Mapping
from typing import Protocol

from intent_contracts.intent.v1 import RecordedEvent

__all__ = ["Log", "coming", "past"]


class Log(Protocol):
    """Reads one context's log."""

    def __call__(self, after: int, *, follow: bool) -> AsyncIterator[RecordedEvent]:
        """Yields the events after a position; with `follow` also those to come, for ever."""
        ...


async def past(logs: Mapping[str, Log], after: int) -> AsyncIterator[tuple[str, RecordedEvent]]:
    """Yields what several logs hold, each event with its log's name, in the order of time.

    It holds one event of each log at a time.
    """
    reading = {name: log(after, follow=False) for name, log in logs.items()}
    heap: list[tuple[int, str, RecordedEvent]] = []

    async def push(name: str) -> None:
        event = await anext(reading[name], None)
        if event is not None:
            heapq.heappush(heap, (event.recorded_at.ToNanoseconds(), name, event))

    await asyncio.gather(*(push(name) for name in reading))
    while heap:
        _, name, event = heapq.heappop(heap)
        yield name, event
        await push(name)


async def coming(logs: Mapping[str, Log], after: Mapping[str, int]) -> AsyncIterator[RecordedEvent]:
    """Yields the events of several logs as they come, for ever.

    Args:
        logs: The logs, by name.
        after: The position of each after which to begin; 0 for those it does not name.
    """
    queue: asyncio.Queue[RecordedEvent | Exception] = asyncio.Queue(maxsize=len(logs))

    async def forward(name: str) -> None:
        try:
            async for event in logs[name](after.get(name, 0), follow=True):
                await queue.put(event)
        except Exception as error:
            await queue.put(error)

    tasks = [asyncio.create_task(forward(name)) for name in logs]
    try:
        while True:
            event = await queue.get()
            if isinstance(event, Exception):
                raise event
            yield event
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
