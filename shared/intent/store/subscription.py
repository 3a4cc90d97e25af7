"""Following the log of any store: what is there already, then each new entry as it is appended."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Final, NamedTuple

from intent.records import LogEntry
from intent.store.event_store import EventStore, LogFilter
from intent.store.pages import is_full

__all__ = ["LogPage", "follow_log"]

PAGE_BYTES: Final = 256 * 1024
"""Bytes of events after which a page ends unless its reader says otherwise: what a slow reader holds."""


class LogPage(NamedTuple):
    """A page of the log.

    Attributes:
        entries: The entries that pass the filter, by position; empty when there were none.
        position: Every entry up to here was considered; reading resumes from it.
    """

    entries: Sequence[LogEntry]
    position: int


async def follow_log(
    store: EventStore,
    after: int = 0,
    where: LogFilter | None = None,
    *,
    follow: bool = True,
    page_size: int = 200,
    page_bytes: int = PAGE_BYTES,
    pause: float = 30.0,
    epoch: str = "",
) -> AsyncIterator[LogPage]:
    """Yield the log page by page, each entry once and in order.

    The next page is read when it is asked for, so a slow reader holds one page at most.

    Args:
        store: The log.
        after: The position after which to start.
        where: Which entries.
        follow: True to continue with new entries without end; False to stop at the end of the log.
        page_size: How many entries a page has at most.
        page_bytes: The number of bytes with which a page ends.
        pause: Seconds after which a page is yielded although the log has not grown.
        epoch: The epoch to which `after` belongs; empty: the current one.

    Raises:
        StoreUnavailable: The store is unavailable; resume from the position of the last page. Or another
            epoch of the log has begun, so that the position may be of an event that is lost.
    """
    epoch = epoch or store.epochs.current
    head = await store.position()
    while True:
        store.epochs.check(epoch)
        # A page that is not full reaches at least to `head`, which was read before it.
        entries = await store.read_log(after, page_size, where, most_bytes=page_bytes)
        if is_full(entries, page_size, page_bytes):
            after = entries[-1].position
            yield LogPage(entries, after)
            continue
        after = max(after, head, entries[-1].position if entries else 0)
        yield LogPage(entries, after)
        if not follow:
            return
        head = await store.wait_beyond(after, pause)
