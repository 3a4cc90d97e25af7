"""The events that subscriptions hold until their readers take them, bounded over all of them together."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from intent.records import LogEntry
from intent.store.pages import memory_of

__all__ = ["HeldPage", "HeldPages"]


class HeldPage:
    """A page on its way to one reader.

    Attributes:
        lost: True when the rest of it was given up, and is to be read again.
    """

    def __init__(self, owner: HeldPages, entries: Iterable[LogEntry]) -> None:
        self._owner = owner
        self._entries = deque(entries)
        self.lost = False

    def take(self) -> LogEntry | None:
        """Remove the next entry and return it; None: it is the end, or the rest was given up."""
        if not self._entries:
            self.release()
            return None
        entry = self._entries.popleft()
        self._owner.freed(memory_of([entry]))
        return entry

    def give_up(self) -> None:
        """Drop what is left."""
        self.lost = bool(self._entries)
        self.release()

    def release(self) -> None:
        """Count it no more."""
        self._owner.freed(self.size)
        self._entries.clear()
        self._owner.forget(self)

    @property
    def size(self) -> int:
        """How many bytes are left."""
        return memory_of(self._entries)


class HeldPages:
    """All pages that are on their way; beyond a limit, those that have waited for longest are given up.

    Args:
        most_bytes: The limit.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._pages: dict[HeldPage, None] = {}
        self.bytes = 0

    def hold(self, entries: Iterable[LogEntry]) -> HeldPage:
        """Hold a page; whoever takes its entries must release it."""
        page = HeldPage(self, entries)
        self._pages[page] = None
        self.bytes += page.size
        while self.bytes > self._most_bytes and len(self._pages) > 1:
            next(iter(self._pages)).give_up()
        return page

    def freed(self, size: int) -> None:
        """Note that entries of so many bytes are held no more."""
        self.bytes -= size

    def forget(self, page: HeldPage) -> None:
        """Forget a page of which nothing is left."""
        self._pages.pop(page, None)
