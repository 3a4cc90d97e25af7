"""The log for the readers of one process: each page is read once, and growth wakes them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from intent.background import Background, BackgroundTask
from intent.errors import StoreUnavailable
from intent.records import LogEntry
from intent.store.event_store import EventStore

__all__ = ["LogFeed"]

_WAIT: Final = 30.0
_PAUSE: Final = 0.5
_KEPT_PAGES: Final = 2


class LogFeed:
    """Pages of the log and wake-ups, shared between readers.

    Args:
        store: The log.
        page_bytes: The number of bytes with which a page ends; None: any number.
    """

    def __init__(self, store: EventStore, page_bytes: int | None = None) -> None:
        self._store = store
        self._page_bytes = page_bytes
        self._seen = 0
        self._hint = 0
        self._grown = asyncio.Event()
        self._pages: dict[int, asyncio.Task[Sequence[LogEntry]]] = {}
        store.epochs.on_begin(self._forget)

    @property
    def end(self) -> int:
        """The last position of the log that the store has reported."""
        return self._seen

    @property
    def head(self) -> int:
        """The last position that the log may have, hints included."""
        return max(self._seen, self._hint)

    def start(self, name: str, background: Background) -> BackgroundTask:
        """Follow the log in the background, as a task with this name."""
        return background.start(name, self._follow, outages=(StoreUnavailable,), longest=_PAUSE)

    def hint(self, position: int) -> None:
        """Announce that the log may have this position, ahead of the store's own wake-up."""
        if position > self.head:
            self._hint = position
            self.wake()

    def reported(self, position: int) -> None:
        """Note the last position of the log, as the store has just reported it.

        It may be lower than before: a crash may take back what was not durable.
        """
        grown, self._seen = position > self._seen, position
        if grown:
            self.wake()

    def wake(self) -> None:
        """Wake every reader."""
        self._grown.set()
        self._grown = asyncio.Event()

    def close(self) -> None:
        """Cancel reads that are under way."""
        for task in self._pages.values():
            task.cancel()

    async def wait_beyond(self, position: int) -> None:
        """Wait until the log may be beyond a position, or until `wake`."""
        if self.head <= position:
            await self._grown.wait()

    async def page(self, after: int, size: int) -> Sequence[LogEntry]:
        """Return entries after a position, at most `size`; empty when there are none.

        Raises:
            StoreUnavailable: The store is unavailable.
        """
        task = self._pages.get(after)
        if task is None:
            task = self._pages[after] = asyncio.create_task(self._read(after, size))
            while len(self._pages) > _KEPT_PAGES:
                del self._pages[next(iter(self._pages))]
        return (await asyncio.shield(task))[:size]

    def _forget(self) -> None:
        """Forget what was read and heard: the log may have gone back."""
        self._pages.clear()
        self._seen = self._hint = 0
        self.wake()

    async def _read(self, after: int, size: int) -> Sequence[LogEntry]:
        hint = self._hint
        try:
            entries = await self._store.read_log(after, size, most_bytes=self._page_bytes)
        except BaseException:
            self._pages.pop(after, None)
            raise
        if not entries:
            self._pages.pop(after, None)
            if self._hint == hint:
                # Whoever hinted at more was wrong: wait for the store itself.
                self._hint = 0
        return entries

    async def _follow(self) -> None:
        while True:
            self.reported(await self._store.wait_beyond(self._seen, _WAIT))
