"""A thread for code that is too slow for the event loop, and that can be left behind."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Final, NamedTuple

__all__ = ["Apart", "Overrun"]

_LOOK: Final = 0.1
"""How often, in seconds, to look at the time that the code has taken."""
_GRACE: Final = 1.0
"""How long, in seconds, interrupted code may take to end before its thread is left behind."""


class Overrun(BaseException):
    """Raised in code that has taken too long; no `Exception`, so that it gets through.

    Attributes:
        ended: Whether the code has ended; otherwise its thread is left behind.
    """

    ended = True


class _Task(NamedTuple):
    work: Callable[[], object]
    done: Callable[[object, BaseException | None], None]


class Apart:
    """A thread that runs one piece of work at a time, for an event loop that waits for it."""

    def __init__(self) -> None:
        self._tasks: SimpleQueue[_Task | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._working = self._interrupted = False
        self._thread = threading.Thread(target=self._run, name="intent guarded code", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread has not ended."""
        return self._thread.is_alive()

    async def run(
        self, work: Callable[[], object], over: Callable[[], bool]
    ) -> tuple[Any, BaseException | None]:
        """Run work; interrupt it when `over` says that its time is over.

        A thread is of no use any more after an `Overrun` that has not ended, or after a cancellation.

        Returns:
            The result, and what was raised instead: an `Overrun` when its time was over.
        """
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[tuple[object, BaseException | None]] = loop.create_future()

        def finish(result: object, error: BaseException | None) -> None:
            if not outcome.done():
                outcome.set_result((result, error))

        def done(result: object, error: BaseException | None) -> None:
            try:
                loop.call_soon_threadsafe(finish, result, error)
            except RuntimeError:
                return  # The loop is closed, and nobody waits any more.

        self._working, self._interrupted = True, False
        self._tasks.put(_Task(work, done))
        try:
            while not (await asyncio.wait([outcome], timeout=_LOOK))[0]:
                if over():
                    await self._interrupt(outcome)
                    break
        except asyncio.CancelledError:
            self._raise()
            self._tasks.put(None)
            raise
        return outcome.result()

    async def _interrupt(self, outcome: asyncio.Future[Any]) -> None:
        """Interrupt the work, again when it goes on; leave the thread behind when that does not end it."""
        until = time.monotonic() + _GRACE
        while not outcome.done() and time.monotonic() < until:
            self._raise()
            await asyncio.wait([outcome], timeout=_LOOK)
        if not outcome.done():
            self._tasks.put(None)
            left_behind = Overrun()
            left_behind.ended = False
            outcome.set_result((None, left_behind))

    def _raise(self) -> None:
        with self._lock:
            if self._working:
                self._interrupted = True
                _interrupt(self._thread)

    def _run(self) -> None:
        running = True
        while running:
            # An interruption that was not meant for the work may arrive anywhere until it is taken back.
            with contextlib.suppress(Overrun):
                running = self._run_next()

    def _run_next(self) -> bool:
        """Run the next work; return False when there is no more."""
        task = self._tasks.get()
        if task is None:
            return False
        result: object = None
        error: BaseException | None = None
        try:
            try:
                result = task.work()
            finally:
                self._take_back()
        except BaseException as raised:
            error = raised
        while self._working:
            self._take_back()
        task.done(result, error)
        return True

    def _take_back(self) -> None:
        """Allow no further interruption, and catch one that came too late to reach the work.

        The interpreter could also drop it, but goes on looking for it for ever: every call is slower
        from then on, and under a profiler CPython 3.11 never leaves the first line of a function.
        """
        with self._lock:
            self._working = False
        if not self._interrupted:
            return
        try:
            # Whether it was raised is not known; another one takes its place, and surely is.
            _interrupt(self._thread)
            while True:
                pass
        except Overrun:
            self._interrupted = False


def _interrupt(thread: threading.Thread) -> None:
    """Raise `Overrun` in a thread at one of its next instructions."""
    ident = ctypes.c_ulong(thread.ident or 0)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, ctypes.py_object(Overrun))
