"""How much of a process a rebuild may take while commands are in flight."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from intent.waiting import now

__all__ = ["Courtesy"]

_PAGE: Final = 64
"""Events in a page meanwhile: so many keep the process from a command for 3 ms or so."""
_REST: Final = 6
"""How many times as long as a page took the rebuilds rest after it."""
_QUIET: Final = 3.0
"""Seconds without a command in flight after which rebuilds take the whole process again."""


class Courtesy:
    """Lets the rebuilds of a process work at full speed only while no commands are in flight.

    Attributes:
        busy: Returns whether commands are in flight.
    """

    def __init__(self) -> None:
        self.busy: Callable[[], bool] = lambda: False
        self._busy_until = float("-inf")
        self._turn = asyncio.Lock()

    def page(self, wanted: int) -> int:
        """Return how many events the next page may have, given how many would be wanted."""
        return min(wanted, _PAGE) if self._is_busy() else wanted

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Apply a page in the body; while commands are in flight, one rebuild at a time, and with rests."""
        if not self._is_busy():
            yield
            return
        async with self._turn:
            began = now()
            yield
            await asyncio.sleep(_REST * (now() - began))

    def _is_busy(self) -> bool:
        if self.busy():
            self._busy_until = now() + _QUIET
        return now() < self._busy_until
