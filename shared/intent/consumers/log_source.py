"""Reads the log for an instance: shared with others at its end, narrowed by the database before."""

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

__all__ = ["LogSource"]

_SPAN: Final = 20_000
"""How many positions one reading looks at, at most, however few events it finds."""


@dataclass(frozen=True, slots=True)
class LogSource:
    """Where the events of one consumer come from.

    Attributes:
        store: The log.
        feed: Its end, which all instances of the process read together.
        database: Reads the parts of the log that lie behind.
        tenant: The consumer's tenant, or `EVERY_TENANT`.
        types: The events that are wanted; empty: all.
        page: How many events are read at once.
    """

    store: EventStore
    feed: LogFeed
    database: ConsumerDatabase
    tenant: str
    types: Sequence[str]
    page: int

    async def read(self, progress: Progress) -> bool:
        """Reads what the progress asks for next; False when there is nothing to be read.

        Raises:
            StoreUnavailable: The store is away; the progress will ask again.
        """
        stream = progress.reads()
        if stream is not None:
            await self._read_stream(progress, stream)
            return True
        asked = progress.log_read()
        if asked is None or asked.after >= self.feed.head:
            return False
        return await self._read_log(progress, asked)

    async def _read_stream(self, progress: Progress, asked: StreamRead) -> None:
        try:
            entries = await self.store.read_stream(asked.stream.key, asked.after_version, self.page)
        except BaseException:
            progress.unread(asked)
            raise
        progress.read(asked, entries, whole=len(entries) < self.page)

    async def _read_log(self, progress: Progress, asked: LogRead) -> bool:
        head = self.feed.head
        if head - asked.after <= self.page:
            entries = await self.feed.page(asked.after, self.page)
            if not entries:
                return False
            progress.take(asked, filter(self._wants, entries), entries[-1].position)
            return True
        up_to = min(head, asked.after + _SPAN)
        entries = await self.database.read(
            asked.after, up_to, self.page, self.tenant, self.types, progress.total, asked.partitions
        )
        progress.take(asked, entries, up_to if len(entries) < self.page else entries[-1].position)
        return True

    def _wants(self, entry: LogEntry) -> bool:
        return self.tenant in (EVERY_TENANT, entry.tenant) and (not self.types or entry.type in self.types)
