"""How many events to read at once: many when they are small and pages succeed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from intent.records import LogEntry

__all__ = ["Pace"]

_FIRST: Final = 256
_BUDGET: Final = 8 * 1024 * 1024
"""Bytes of events that a page should not exceed by much."""


class Pace:
    """The size of the next page.

    It starts small, grows while events are small, and halves whenever a page was too large.

    Args:
        longest: The most events that a page may have.
    """

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._limit = longest
        self.size = min(longest, _FIRST)

    def took(self, entries: Sequence[LogEntry]) -> None:
        """Record that a page was applied."""
        if not entries:
            return
        self._limit = min(self._longest, self._limit * 2)
        fitting = _BUDGET * len(entries) // max(1, sum(len(entry.data) for entry in entries))
        self.size = max(1, min(self._limit, fitting, self.size * 4))

    def failed(self) -> None:
        """Record that a page could not be applied, perhaps because it took too long."""
        self._limit = self.size = max(1, self.size // 2)
