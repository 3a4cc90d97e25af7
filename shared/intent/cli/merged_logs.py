"""Read the logs of several contexts as one, in the order of time."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator, Mapping
from typing import Protocol

from intent_contracts.intent.v1 import RecordedEvent

__all__ = ["LogReader", "follow_merged", "read_merged"]


class LogReader(Protocol):
    """Reads one context's log."""

    def __call__(self, after: int, *, follow: bool) -> AsyncIterator[RecordedEvent]:
        """Yield the events after a position; with `follow` also new ones, without end."""
        ...


async def read_merged(logs: Mapping[str, LogReader], after: int) -> AsyncIterator[tuple[str, RecordedEvent]]:
    """Yield the events that several logs hold now, each with its log's name, in the order of time.

    Holds one event of each log in memory at a time.
    """
    readers = {name: log(after, follow=False) for name, log in logs.items()}
    heap: list[tuple[int, str, RecordedEvent]] = []

    async def push(name: str) -> None:
        event = await anext(readers[name], None)
        if event is not None:
            heapq.heappush(heap, (event.recorded_at.ToNanoseconds(), name, event))

    await asyncio.gather(*(push(name) for name in readers))
    while heap:
        _, name, event = heapq.heappop(heap)
        yield name, event
        await push(name)


async def follow_merged(
    logs: Mapping[str, LogReader], after: Mapping[str, int]
) -> AsyncIterator[RecordedEvent]:
    """Yield the events of several logs as they arrive, without end.

    Args:
        logs: The logs, by name.
        after: The position in each log after which to start; 0 for a log that it does not name.
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
