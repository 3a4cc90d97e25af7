"""How many events to take at once: many when they are small and all goes well."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from intent.records import LogEntry

__all__ = ["Pace"]

_BEGIN: Final = 256
_BUDGET: Final = 8 * 1024 * 1024
"""Bytes of events that a page should not exceed by much."""


class Pace:
    """The size of the next page.

    It begins small, grows while events are small, and halves whenever a page was too much.

    Args:
        longest: How many events a page has at most.
    """

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._limit = longest
        self.size = min(longest, _BEGIN)

    def took(self, entries: Sequence[LogEntry]) -> None:
        """Notes a page that was applied."""
        if not entries:
            return
        self._limit = min(self._longest, self._limit * 2)
        fitting = _BUDGET * len(entries) // max(1, sum(len(entry.data) for entry in entries))
        self.size = max(1, min(self._limit, fitting, self.size * 4))

    def failed(self) -> None:
        """Notes that a page could not be applied, perhaps because it took too long."""
        self._limit = self.size = max(1, self.size // 2)
