"""Reads the log for an instance: its end from the shared feed, earlier parts filtered by the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from intent.consumers.database import ConsumerDatabase
from intent.consumers.keys import EVERY_TENANT
from intent.consumers.progress import Progress
from intent.consumers.streams import LogRead, StreamRead
from intent.records import LogEntry
from intent.store.event_store import EventStore
from intent.store.feed import LogFeed
from intent.store.pages import is_full

__all__ = ["LogSource"]

_SPAN: Final = 20_000
"""The most positions that one read scans, however few events match."""


@dataclass(frozen=True, slots=True)
class LogSource:
    """Where the events of one consumer come from.

    Attributes:
        store: The log.
        feed: Its end, which all instances of the process share.
        database: Reads the parts of the log before that.
        tenant: The consumer's tenant, or `EVERY_TENANT`.
        page: How many events are read at once.
        page_bytes: The number of bytes with which such a page ends.
        incarnation: The incarnation of the log that is read; None: any.
    """

    store: EventStore
    feed: LogFeed
    database: ConsumerDatabase
    tenant: str
    page: int
    page_bytes: int
    incarnation: int | None = None

    async def read(self, progress: Progress) -> bool:
        """Read what the progress requests next; return False when there is nothing to read.

        Raises:
            StoreUnavailable: The store is unavailable; the progress will request it again.
        """
        stream = progress.stream_read()
        if stream is not None:
            await self._read_stream(progress, stream)
            return True
        request = progress.log_read()
        if request is None or request.after >= self.feed.head:
            return False
        return await self._read_log(progress, request)

    async def _read_stream(self, progress: Progress, request: StreamRead) -> None:
        try:
            entries = await self.store.read_stream(
                request.stream.key, request.after_version, self.page, most_bytes=self.page_bytes
            )
        except BaseException:
            progress.stream_read_failed(request)
            raise
        progress.take_stream(request, entries, whole=not self._is_full(entries))

    async def _read_log(self, progress: Progress, request: LogRead) -> bool:
        head = self.feed.head
        if head - request.after <= self.page:
            entries = await self.feed.page(request.after, self.page)
            if not entries:
                return False
            progress.take_log(request, filter(self._wants, entries), entries[-1].position)
            return True
        up_to = min(head, request.after + _SPAN)
        entries = await self.database.read(
            request.after,
            up_to,
            self.page,
            self.tenant,
            progress.types.read,
            progress.total,
            request.partition_numbers,
            most_bytes=self.page_bytes,
            incarnation=self.incarnation,
        )
        progress.take_log(request, entries, entries[-1].position if self._is_full(entries) else up_to)
        return True

    def _is_full(self, entries: Sequence[LogEntry]) -> bool:
        return is_full(entries, self.page, self.page_bytes)

    def _wants(self, entry: LogEntry) -> bool:
        return self.tenant in (EVERY_TENANT, entry.tenant)
