"""Interrupts code that holds the event loop, by a signal.

A signal also ends a sleep and a regular expression, which an exception that is set from another thread
does not. It reaches the main thread only, and there the loops of context processes run.
"""

from __future__ import annotations

import atexit
import signal
import threading
from types import FrameType
from typing import Final

__all__ = ["ALARM", "Alarm", "LoopHeld"]

_RING: Final = 0.25
"""How often, in seconds, to look at the code that holds the event loop."""
_MOST_RINGS: Final = 3
"""At which look it is interrupted: it has then held the loop for 0.5 to 0.75 s."""
_IDLE_RINGS: Final = 8
"""After so many looks at which no code ran, nobody looks until code runs again."""


class LoopHeld(BaseException):
    """Raised in code that has held the event loop for too long; no `Exception`, so that it gets through."""


class Alarm:
    """The alarm of the process.

    The timer keeps running between one piece of code and the next, so that starting it costs a system
    call only after a pause.
    """

    def __init__(self) -> None:
        self._main = threading.main_thread().ident
        self._usable: bool | None = None
        self._active = False
        self._rings = 0
        self._idle = 0
        self._ticking = False

    def start(self) -> None:
        """Watch over the code that runs from now on; it must not start the alarm again."""
        if threading.get_ident() != self._main:
            return
        self._rings = 0
        self._active = True
        if not self._ticking:
            self._start_timer()

    def stop(self) -> None:
        """Interrupt nothing any more."""
        if threading.get_ident() == self._main:
            self._active = False

    def _start_timer(self) -> None:
        if self._usable is None:
            # A program that uses the signal itself keeps it.
            self._usable = signal.getsignal(signal.SIGALRM) is signal.SIG_DFL
            if self._usable:
                signal.signal(signal.SIGALRM, self._ring)
                # The interpreter removes the handler at its end, and the signal would then kill.
                atexit.register(signal.setitimer, signal.ITIMER_REAL, 0)
        if self._usable:
            self._idle, self._ticking = 0, True
            signal.setitimer(signal.ITIMER_REAL, _RING, _RING)

    def _ring(self, _signum: int, _frame: FrameType | None) -> None:
        if self._active:
            self._idle = 0
            self._rings += 1
            if self._rings >= _MOST_RINGS:
                raise LoopHeld
            return
        self._idle += 1
        if self._idle >= _IDLE_RINGS:
            self._ticking = False
            signal.setitimer(signal.ITIMER_REAL, 0)


ALARM: Final = Alarm()
