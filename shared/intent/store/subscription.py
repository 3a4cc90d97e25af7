"""Following the log of any store: what is there already, then each new entry as it is appended."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, NamedTuple

from intent.records import LogEntry, StreamKey
from intent.store.event_store import EventStore, LogFilter
from intent.store.log_tail import LogTail
from intent.store.pages import first_bytes, is_full

__all__ = ["LogFollower", "LogPage"]

PAGE_BYTES: Final = 256 * 1024
"""Bytes of events after which a page ends unless its reader says otherwise: what a slow reader holds."""

_SPAN: Final = 20_000
"""How many positions one read scans at first, however few entries pass the filter."""
_LONGEST_SPAN: Final = 1 << 24
_QUICK: Final = 0.05
_SLOW: Final = 0.5
"""Seconds; a read that is quicker or slower than these is followed by one with a longer or shorter span."""
_ALL: Final = LogFilter()


class LogPage(NamedTuple):
    """A page of the log.

    Attributes:
        entries: The entries that pass the filter, by position; empty when there were none.
        position: Every entry up to here was considered; reading resumes from it.
    """

    entries: Sequence[LogEntry]
    position: int


class LogFollower:
    """Reads the log page by page, each entry once and in order, and holds none of them.

    Where few entries pass the filter, a page may be empty: it says how far the log was read.

    Args:
        store: The log.
        tail: Its end, which all who follow it share; to be followed meanwhile, unless `follow` is False.
        after: The position after which to start.
        where: Which entries.
        follow: True to continue with new entries without end; False to stop at the end of the log.
        page_size: How many entries a page has at most.
        page_bytes: The number of bytes with which a page ends.
        pause: Seconds after which a page is returned although nothing was appended that passes.
        epoch: The epoch to which `after` belongs; empty: the current one.
    """

    def __init__(
        self,
        store: EventStore,
        tail: LogTail,
        after: int = 0,
        where: LogFilter | None = None,
        *,
        follow: bool = True,
        page_size: int = 200,
        page_bytes: int = PAGE_BYTES,
        pause: float = 30.0,
        epoch: str = "",
    ) -> None:
        self._store = store
        self._after = after
        self._where = where or _ALL
        self._follow = follow
        self._tail = tail
        self._page_size = page_size
        self._page_bytes = page_bytes
        self._pause = pause
        self._epoch = epoch or store.epochs.current
        self._head: int | None = None
        self._at_head = False
        self._span = _SPAN
        self._version: int | None = None

    async def next(self) -> LogPage | None:
        """Return the next page; None at the end, if it is not to follow the log.

        Raises:
            StoreUnavailable: The store is unavailable; resume from the position of the last page. Or
                another epoch of the log has begun, so that the position may be of an event that is lost.
        """
        # What the tail has may be of another epoch by now, if the reader was slow.
        self._store.epochs.check(self._epoch)
        if self._head is None:
            self._head = await self._store.position()
        elif self._at_head:
            if not self._follow:
                return None
            if (page := await self._wait(self._after)) is not None:
                return self._reached(page)
        self._store.epochs.check(self._epoch)
        page = await self._step(self._after, self._head)
        self._at_head = not self._is_full(page.entries) and page.position >= self._head
        return self._reached(page)

    def rewind(self, position: int) -> None:
        """Go back to a position: what came after it is read again."""
        self._after, self._version, self._at_head = position, None, False

    def _reached(self, page: LogPage) -> LogPage:
        self._after = page.position
        if page.entries and self._version is not None:
            self._version = max(self._version, page.entries[-1].version)
        return page

    async def _wait(self, after: int) -> LogPage | None:
        """Wait at the end of the log; return what came, or None when it is to be read from the store."""
        if self._tail.beyond(after) == ():
            after = await self._tail.wait(after, self._where, self._pause)
            self._store.epochs.check(self._epoch)
        entries = self._tail.beyond(after)
        if entries is None:
            self._head = await self._store.position()
            return None
        passing = first_bytes(
            [entry for entry in entries if self._where.passes(entry)][: self._page_size], self._page_bytes
        )
        full = self._is_full(passing)
        return LogPage(passing, passing[-1].position if full else self._tail.reached(after))

    async def _step(self, after: int, head: int) -> LogPage:
        """Read from the store; `head` may be reached in several steps, each of which takes bounded time."""
        where = self._where
        if where.tenant and where.aggregate_type and where.aggregate_id:
            key = StreamKey(where.tenant, where.aggregate_type, where.aggregate_id)
            return await self._step_in_stream(key, after, head)
        if where.correlation_id:
            # An index leads to its entries.
            entries = await self._read(after, None)
            return self._page(entries, max(after, head))
        last = min(after + self._span, max(after, head))
        clock = asyncio.get_running_loop().time
        began = clock()
        entries = await self._read(after, last)
        if clock() - began > _SLOW:
            self._span = max(_SPAN // 20, self._span // 2)
        elif clock() - began < _QUICK:
            self._span = min(_LONGEST_SPAN, self._span * 2)
        return self._page(entries, last)

    async def _read(self, after: int, last: int | None) -> Sequence[LogEntry]:
        size, most_bytes = self._page_size, self._page_bytes
        return await self._store.read_log(after, size, self._where, most_bytes=most_bytes, last=last)

    async def _step_in_stream(self, key: StreamKey, after: int, head: int) -> LogPage:
        """Read on in a stream by its versions, which are in the order of the positions."""
        if self._version is None and after > 0:
            only = LogFilter(
                tenant=key.tenant, aggregate_type=key.aggregate_type, aggregate_id=key.aggregate_id
            )
            first = await self._store.read_log(after, 1, only)
            if not first:
                return LogPage((), max(after, head))
            self._version = first[0].version - 1
        entries = await self._store.read_stream(
            key, self._version or 0, self._page_size, most_bytes=self._page_bytes
        )
        if entries:
            self._version = entries[-1].version
        page = self._page(entries, max(after, head))
        passing = [e for e in entries if e.position > after and self._where.passes(e)]
        return LogPage(passing, max(after, page.position))

    def _page(self, entries: Sequence[LogEntry], last: int) -> LogPage:
        if self._is_full(entries):
            return LogPage(entries, entries[-1].position)
        return LogPage(entries, max(last, entries[-1].position if entries else 0))

    def _is_full(self, entries: Sequence[LogEntry]) -> bool:
        return is_full(entries, self._page_size, self._page_bytes)
