"""The end of the log for all subscriptions of a process: each entry is read once, and wakes its readers."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from intent.background import Background, BackgroundTask
from intent.errors import StoreUnavailable
from intent.records import LogEntry
from intent.store.event_store import EventStore, LogFilter
from intent.store.pages import memory_of

__all__ = ["LogTail"]

_WAIT: Final = 30.0
_PAUSE: Final = 0.5
_PAGE: Final = 500
_PAGE_BYTES: Final = 256 * 1024
_KEPT_BYTES: Final = 4 * 1024 * 1024


class _Page(NamedTuple):
    after: int
    entries: Sequence[LogEntry]
    position: int
    size: int


@dataclass(eq=False, slots=True)
class _Reader:
    after: int
    where: LogFilter
    woken: asyncio.Future[int] = field(default_factory=asyncio.Future)


class LogTail:
    """Reads what is appended, for all tenants, and wakes only those whose filter it passes.

    It reads while somebody follows it. The last entries are kept in memory, so that whoever is woken
    asks the database nothing.

    Args:
        store: The log.
        background: Runs the reading.
    """

    def __init__(self, store: EventStore, background: Background) -> None:
        self._store = store
        self._background = background
        self._position: int | None = None
        self._kept: deque[_Page] = deque()
        self._kept_bytes = 0
        self._readers: dict[str | None, set[_Reader]] = {}
        self._followers = 0
        self._task: BackgroundTask | None = None
        store.epochs.on_begin(self._forget)

    @asynccontextmanager
    async def followed(self) -> AsyncIterator[None]:
        """Read the log's end within the block."""
        self._followers += 1
        if self._task is None or self._task.over:
            self._position = None
            self._task = self._background.start(
                "subscriptions: tail", self._read, outages=(StoreUnavailable,), longest=_PAUSE
            )
        try:
            yield
        finally:
            self._followers -= 1

    async def stop(self) -> None:
        """Stop reading; whoever waits gets `StoreUnavailable`."""
        if self._task is not None:
            await self._task.stop()
        self._fail("the process is stopping")

    def beyond(self, position: int) -> Sequence[LogEntry] | None:
        """Return the entries after a position that were read; None when not all of them are kept."""
        if self._position is None or position >= self._position:
            return ()
        if not self._kept or position < self._kept[0].after:
            return None
        pages = (page.entries for page in self._kept if page.position > position)
        return [entry for entries in pages for entry in entries if entry.position > position]

    def reached(self, position: int) -> int:
        """Return the last position that was read, or this one if it is later."""
        return max(position, self._position or 0)

    async def wait(self, after: int, where: LogFilter, timeout: float) -> int:
        """Wait for an entry that passes a filter, at most `timeout` seconds.

        Args:
            after: A position beyond which no entry that was read passes it.
            where: The filter.
            timeout: The time.

        Returns:
            A position up to which none passes.

        Raises:
            StoreUnavailable: The log has another epoch, or the process is stopping.
        """
        reader = _Reader(after, where)
        readers = self._readers.setdefault(where.tenant, set())
        readers.add(reader)
        timer = asyncio.get_running_loop().call_later(timeout, self._time_out, reader)
        try:
            return await reader.woken
        finally:
            timer.cancel()
            readers.discard(reader)
            if not readers and self._readers.get(where.tenant) is readers:
                del self._readers[where.tenant]

    async def _read(self) -> None:
        while self._followers:
            epoch, after = self._store.epochs.current, self._position
            if after is None:
                self._begin(await self._store.position())
                continue
            entries = await self._store.read_log(after, _PAGE, most_bytes=_PAGE_BYTES)
            self._store.epochs.check(epoch)
            if entries:
                self._take(after, entries)
            else:
                await self._store.wait_beyond(after, _WAIT)

    def _begin(self, head: int) -> None:
        self._kept.clear()
        self._kept_bytes, self._position = 0, head
        for reader in self._all_readers():
            if reader.after < head and not reader.woken.done():
                reader.woken.set_result(reader.after)

    def _take(self, after: int, entries: Sequence[LogEntry]) -> None:
        size = memory_of(entries)
        self._position = entries[-1].position
        self._kept.append(_Page(after, entries, self._position, size))
        self._kept_bytes += size
        while self._kept_bytes > _KEPT_BYTES and len(self._kept) > 1:
            self._kept_bytes -= self._kept.popleft().size
        of_tenants = defaultdict(list)
        for entry in entries:
            of_tenants[entry.tenant].append(entry)
        for tenant, own in of_tenants.items():
            self._wake(self._readers.get(tenant, ()), own)
        self._wake(self._readers.get(None, ()), entries)

    @staticmethod
    def _wake(readers: set[_Reader] | tuple[()], entries: Sequence[LogEntry]) -> None:
        for reader in readers:
            passing = (e for e in entries if e.position > reader.after and reader.where.passes(e))
            if not reader.woken.done() and (first := next(passing, None)) is not None:
                reader.woken.set_result(first.position - 1)

    def _time_out(self, reader: _Reader) -> None:
        if not reader.woken.done():
            reader.woken.set_result(self.reached(reader.after))

    def _forget(self) -> None:
        """Forget what was read: the log may have gone back."""
        self._position = None
        self._fail("the log was restored or a standby promoted meanwhile; try again")

    def _fail(self, why: str) -> None:
        for reader in self._all_readers():
            if not reader.woken.done():
                reader.woken.set_exception(StoreUnavailable(why))

    def _all_readers(self) -> Sequence[_Reader]:
        return [reader for readers in self._readers.values() for reader in readers]
