"""Ids of events and commands: UUIDs of version 7 (RFC 9562), so that later ones sort after earlier ones.

Indexes over random ids are written all over; those over ids that grow are written at their end.
"""

from __future__ import annotations

import os
import threading
import time
from typing import Final
from uuid import UUID

__all__ = ["new_id"]

_VERSION: Final = 7 << 76
_VARIANT: Final = 2 << 62


class _Clock:
    """The time in units of 1/4096 ms, each given once, so that ids never go back within a process."""

    def __init__(self) -> None:
        self._last = 0
        self._lock = threading.Lock()

    def tick(self) -> int:
        """Return a time that is later than every one before, even when the clock was set back."""
        now = (time.time_ns() << 12) // 1_000_000
        with self._lock:
            self._last = max(now, self._last + 1)
            return self._last


_clock = _Clock()


def new_id() -> UUID:
    """Return a new id: 48 bits of milliseconds, 12 bits of their fraction, 62 random bits."""
    tick = _clock.tick()
    random = int.from_bytes(os.urandom(8), "big") >> 2
    return UUID(int=(tick >> 12) << 80 | _VERSION | (tick & 0xFFF) << 64 | _VARIANT | random)
