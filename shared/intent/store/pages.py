"""Pages of the log that are bounded in bytes as well as in number."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from intent.records import LogEntry

__all__ = ["first_bytes", "is_full", "memory_of"]

_ENTRY_BYTES: Final = 500
"""Roughly what an entry takes besides its data."""


def first_bytes(entries: Iterable[LogEntry], most_bytes: int | None) -> list[LogEntry]:
    """Return the entries up to the one with which their events reach a number of bytes; None: all."""
    if most_bytes is None:
        return list(entries)
    page, size = [], 0
    for entry in entries:
        page.append(entry)
        size += len(entry.data)
        if size >= most_bytes:
            break
    return page


def is_full(page: Sequence[LogEntry], limit: int, most_bytes: int) -> bool:
    """Return whether there may be more entries after a page that was read with these limits."""
    return len(page) >= limit or sum(len(entry.data) for entry in page) >= most_bytes


def memory_of(entries: Iterable[LogEntry]) -> int:
    """Return roughly how many bytes of memory entries take."""
    return sum(len(entry.data) + _ENTRY_BYTES for entry in entries)
