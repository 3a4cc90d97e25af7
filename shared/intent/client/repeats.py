"""Warnings that repeat themselves: the first is logged, the others are counted."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final

__all__ = ["RepeatedWarnings"]

_SECONDS: Final = 15.0


class RepeatedWarnings:
    """Logs the first of equal warnings, and after a while how many more there were.

    Args:
        log: Where to log.
        seconds: How long equal warnings are counted.
    """

    def __init__(self, log: logging.Logger, seconds: float = _SECONDS) -> None:
        self._log = log
        self._seconds = seconds
        self._more: dict[str, int] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def warn(self, summary: str, message: str, *args: object, exc_info: Any = None) -> None:
        """Log a warning, or count it if an equal one was logged recently.

        Args:
            summary: What equal warnings have in common.
            message: The whole warning, with `args` as for a logger.
            args: The arguments of the message.
            exc_info: The exception to show with it.
        """
        if summary in self._more:
            self._more[summary] += 1
            return
        self._more[summary] = 0
        loop = asyncio.get_running_loop()
        self._timers[summary] = loop.call_later(self._seconds, self._sum_up, summary)
        self._log.warning(message, *args, exc_info=exc_info)

    def close(self) -> None:
        """Log what is counted."""
        for summary in list(self._more):
            self._timers[summary].cancel()
            self._sum_up(summary)

    def _sum_up(self, summary: str) -> None:
        del self._timers[summary]
        more = self._more.pop(summary)
        if more:
            self._log.warning("%s: %d more in %g s", summary, more, self._seconds)
