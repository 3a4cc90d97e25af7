"""Following the log of any store: what is there already, then each new entry as it comes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

from intent.records import LogEntry
from intent.store.event_store import EventStore, LogFilter

__all__ = ["LogPage", "follow_log"]


class LogPage(NamedTuple):
    """A part of the log.

    Attributes:
        entries: The entries that pass the filter, by position; empty when there were none.
        position: Everything up to here was considered; it resumes the reading.
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
    pause: float = 30.0,
) -> AsyncIterator[LogPage]:
    """Yields the log page by page; each entry once, in order.

    The next page is read when it is asked for, so that a slow reader holds one page at most.

    Args:
        store: The log.
        after: The position after which to begin.
        where: Which entries.
        follow: True to go on with new entries for ever; False to end at the end of the log.
        page_size: How many entries a page has at most.
        pause: Seconds after which a page comes even though the log has not grown.

    Raises:
        StoreUnavailable: The store is away; the position of the last page resumes.
    """
    head = await store.position()
    while True:
        # Read after `head` was known, a page that is not full reaches up to it at least.
        entries = await store.read_log(after, page_size, where)
        if len(entries) == page_size:
            after = entries[-1].position
            yield LogPage(entries, after)
            continue
        after = max(after, head, entries[-1].position if entries else 0)
        yield LogPage(entries, after)
        if not follow:
            return
        head = await store.wait_beyond(after, pause)
