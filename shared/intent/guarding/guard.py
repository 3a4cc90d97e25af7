"""Runs the code of authors: on the event loop while it is quick, in a thread when it is not.

Code that holds the event loop is interrupted by a signal and run again in a thread, where it may take
its time limit. What does not end there either is interrupted, or left behind with its thread.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final, TypeVar

from intent.guarding.alarm import ALARM, LoopHeld
from intent.guarding.doubts import Doubts
from intent.guarding.journal import Journal, Slot
from intent.guarding.poison import Poison, crashed
from intent.guarding.threads import Apart, Overrun

__all__ = ["Guard", "TooSlow", "Watch"]

_MOST_LEFT_BEHIND: Final = 16
"""So many threads that do not end are too many for one process."""

T = TypeVar("T")


class TooSlow(Exception):
    """The code held the event loop for too long and was interrupted; run it again in a thread."""


class Watch:
    """Through which code that is being guarded says which piece is under way."""

    __slots__ = ("_slot", "gone", "since")

    def __init__(self, slot: Slot) -> None:
        self._slot = slot
        self.since = 0.0
        self.gone = False
        """Whether nobody waits for the code any more."""

    def enter(self, note: bytes) -> None:
        """Begin a piece, and end the one before; its time begins now."""
        if self.gone:
            raise Overrun
        self._slot.begin(note)
        self.since = time.monotonic()

    def leave(self) -> None:
        """End the last piece."""
        self._slot.end()


class _Thread:
    """A thread with its place in the journal."""

    def __init__(self, slot: Slot) -> None:
        self.apart = Apart()
        self.watch = Watch(slot)


class Guard:
    """The guard of one process; what it runs must be safe to run again.

    Args:
        limit: How long a piece may take, in seconds.
        journal: Where it is noted what is under way; None: nowhere.
        doubts: What processes have died of.
        interrupts: Whether code that holds the event loop is interrupted, by SIGALRM.

    Attributes:
        limit: How long a piece may take, in seconds.
        doubts: What processes have died of.
        loop_watch: Notes what is under way on the event loop.
    """

    def __init__(
        self,
        limit: float = 5.0,
        journal: Journal | None = None,
        doubts: Doubts | None = None,
        *,
        interrupts: bool = True,
    ) -> None:
        self.limit = limit
        self.doubts = Doubts() if doubts is None else doubts
        self._journal = Journal.anonymous() if journal is None else journal
        self._interrupts = interrupts
        self.loop_watch = Watch(self._journal.slot())
        self._own = threading.local()
        self._idle: list[_Thread] = []
        self._left_behind: list[Apart] = []

    @property
    def problem(self) -> str:
        """Why the process should be replaced by another; empty when it should not."""
        self._left_behind = [thread for thread in self._left_behind if thread.alive]
        hanging = len(self._left_behind)
        if hanging < _MOST_LEFT_BEHIND:
            return ""
        return f"{hanging} threads are held by handlers that took longer than they may and do not end"

    def thread_watch(self) -> Watch:
        """Return what notes the code that runs in the calling thread, which is not one of the guard's."""
        watch: Watch | None = getattr(self._own, "watch", None)
        if watch is None:
            watch = self._own.watch = Watch(self._journal.slot())
        return watch

    async def call(self, work: Callable[[Watch], T], limit: float | None = None) -> T:
        """Run work on the event loop, and again in a thread when it holds the loop for too long.

        Raises:
            Poison: A piece raised what is no `Exception`, or took too long.
            Exception: Whatever else the work raises.
        """
        try:
            return self.inline(work)
        except TooSlow:
            return await self.apart(work, limit)

    def inline(self, work: Callable[[Watch], T]) -> T:
        """Run work on the event loop.

        Raises:
            TooSlow: It held the event loop for too long, and was interrupted.
            Poison: A piece raised what is no `Exception`.
            Exception: Whatever else the work raises.
        """
        try:
            return self._inline(work)
        except LoopHeld:
            # Also what was raised too late to reach the work itself.
            raise TooSlow("it held the event loop for too long") from None

    def _inline(self, work: Callable[[Watch], T]) -> T:
        watch = self.loop_watch
        try:
            self.begin()
            return work(watch)
        except (Exception, LoopHeld):
            raise
        except BaseException as error:
            raise crashed(error) from error
        finally:
            self.end()

    def begin(self) -> None:
        """Begin to run code on the event loop, which must not take long."""
        if self._interrupts:
            ALARM.start()

    def end(self) -> None:
        """End it."""
        ALARM.stop()
        self.loop_watch.leave()

    async def apart(self, work: Callable[[Watch], T], limit: float | None = None) -> T:
        """Run work in a thread.

        Args:
            work: The work.
            limit: How long each of its pieces may take, in seconds; None: the guard's own limit.

        Raises:
            Poison: A piece raised what is no `Exception`, or took too long.
            Exception: Whatever else the work raises.
        """
        longest = limit or self.limit
        thread = self._idle.pop() if self._idle else _Thread(self._journal.slot())
        watch = thread.watch
        watch.since = time.monotonic()
        usable = False
        try:
            result, error = await thread.apart.run(
                lambda: work(watch), lambda: time.monotonic() - watch.since > longest
            )
            usable = not isinstance(error, Overrun) or error.ended
        finally:
            watch.leave()
            if usable:
                self._idle.append(thread)
            else:
                watch.gone = True
                self._left_behind.append(thread.apart)
        if error is None:
            finished: T = result
            return finished
        if isinstance(error, Overrun):
            raise Poison(f"it took longer than {longest:g} s") from None
        raise error if isinstance(error, Exception) else crashed(error)
