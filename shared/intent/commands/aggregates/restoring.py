"""Restores aggregates from their streams: short ones at once, long ones page by page."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final
from weakref import WeakValueDictionary

from intent.guarding import Guard, Watch
from intent.model import Aggregate, AggregateType
from intent.records import LogEntry, StoredEvent, StreamKey
from intent.store.event_store import STREAM_PAGE, EventStore, LoadedStream

__all__ = ["SNAPSHOT_AFTER", "LongStreamError", "Restoring"]

SNAPSHOT_AFTER: Final = 250
"""After restoring from more events than this, a snapshot is kept, so that it is not needed again."""

_AT_ONCE: Final = 100
"""So many events are applied on the event loop before other work gets its turn."""

_SNAPSHOT_STEP: Final = 5_000
_RESTORE_LIMITS: Final = 4
"""Restoring from a page of events may take so many times as long as a handler."""
_LARGEST_PAGE: Final = 1_000
_PAGE_BYTES: Final = 4 * 1024 * 1024


class LongStreamError(Exception):
    """Restoring would take more than a page of events."""


class Restoring:
    """Restores the aggregates of one context.

    Args:
        store: The context's event store.
        guard: What the appliers run under.
    """

    def __init__(self, store: EventStore, guard: Guard) -> None:
        self._store = store
        self._guard = guard
        self._locks: WeakValueDictionary[StreamKey, asyncio.Lock] = WeakValueDictionary()
        self._applied = 0

    async def restored(
        self, kind: AggregateType, key: StreamKey, stream: LoadedStream, note: bytes = b"", *, patient: bool
    ) -> Aggregate[Any]:
        """Return the aggregate of a stream.

        Args:
            kind: Its type.
            key: Its stream.
            stream: The stream as it was loaded; a long one in part.
            note: What is under way, for the journal of what a process may die of.
            patient: Whether a long stream may be read to its end, which takes seconds or minutes.

        Raises:
            LongStreamError: It is a long stream, and `patient` is False.
            NewerReleaseNeeded: Only a newer release can read one of the events.
            Poison: An applier took too long, or raised what is no `Exception`.
            StoreUnavailable: The store is unavailable.
        """
        epoch = self._store.epochs.current
        page = await self._page(kind, key, stream)
        if page is not None:
            return await self._at_once(kind, key, page, note)
        if not patient:
            raise LongStreamError
        # Whoever comes second finds the snapshot of the first.
        async with self._locks.setdefault(key, asyncio.Lock()):
            again = (await self._store.load([key], [])).streams[key]
            page = await self._page(kind, key, again)
            if page is not None:
                return await self._at_once(kind, key, page, note)
            return await self._in_pages(kind, key, again, note, epoch)

    async def _page(self, kind: AggregateType, key: StreamKey, stream: LoadedStream) -> LoadedStream | None:
        """Return a page that leads to the stream's version, without an unusable snapshot, if one does."""
        if stream.snapshot is not None and not kind.usable(stream.snapshot):
            if stream.version > STREAM_PAGE:
                return None
            entries = await self._store.read_stream(key, 0, STREAM_PAGE)
            return LoadedStream(stream.version, None, _events(entries))
        return stream if stream.complete else None

    async def _in_pages(
        self, kind: AggregateType, key: StreamKey, stream: LoadedStream, note: bytes, epoch: str
    ) -> Aggregate[Any]:
        """Restore a long stream, keeping snapshots on the way: a second attempt continues where one ended."""
        usable = stream.snapshot if stream.snapshot and kind.usable(stream.snapshot) else None
        aggregate = kind.restore(key.tenant, key.aggregate_id, snapshot=usable, events=())
        kept = aggregate.version
        size = STREAM_PAGE
        while entries := await self._store.read_stream(key, aggregate.version, size):
            await self._guard.apart(_advancing(kind, aggregate, _events(entries), note), self._limit)
            size = _next_size(entries)
            if aggregate.version - kept >= _SNAPSHOT_STEP:
                await self._store.keep_snapshot(key, kind.snapshot(aggregate), epoch)
                kept = aggregate.version
        if aggregate.version > kept:
            await self._store.keep_snapshot(key, kind.snapshot(aggregate), epoch)
        return aggregate

    async def _at_once(
        self, kind: AggregateType, key: StreamKey, stream: LoadedStream, note: bytes
    ) -> Aggregate[Any]:
        """Restore from a page, without holding up the event loop for long."""

        def restore(watch: Watch) -> Aggregate[Any]:
            watch.enter(note)
            return kind.restore(key.tenant, key.aggregate_id, snapshot=stream.snapshot, events=stream.events)

        if len(stream.events) > _AT_ONCE:
            return await self._guard.apart(restore, self._limit)
        self._applied += len(stream.events)
        if self._applied > _AT_ONCE:
            self._applied = 0
            await asyncio.sleep(0)
        return await self._guard.call(restore, self._limit)

    @property
    def _limit(self) -> float:
        return _RESTORE_LIMITS * self._guard.limit


def _advancing(
    kind: AggregateType, aggregate: Aggregate[Any], events: Sequence[StoredEvent], note: bytes
) -> Callable[[Watch], None]:
    def advance(watch: Watch) -> None:
        watch.enter(note)
        kind.advance(aggregate, events)

    return advance


def _events(entries: Iterable[LogEntry]) -> list[StoredEvent]:
    return [StoredEvent(e.version, e.type, e.schema_version, e.data) for e in entries]


def _next_size(entries: Sequence[LogEntry]) -> int:
    """Return how many events the next page may have, if they are as large as the last ones."""
    size = sum(len(entry.data) for entry in entries) // len(entries) + 1
    return max(1, min(_LARGEST_PAGE, _PAGE_BYTES // size))
