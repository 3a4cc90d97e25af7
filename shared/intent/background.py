"""Work that a process does in the background for as long as it runs, and that no error ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from contextvars import Context
from typing import Final

__all__ = ["Background", "BackgroundTask", "stop_all"]

_log: Final = logging.getLogger(__name__)
_SHORTEST: Final = 0.1
_LONGEST: Final = 5.0


class Background:
    """The background tasks of a process, and what is wrong with them."""

    def __init__(self) -> None:
        self._tasks: set[BackgroundTask] = set()

    def start(
        self,
        name: str,
        work: Callable[[], Awaitable[None]],
        *,
        outages: tuple[type[Exception], ...] = (),
        longest: float = _LONGEST,
    ) -> BackgroundTask:
        """Start to work in the background.

        Work that raises is begun again after a pause, which grows from 0.1 s. Work that returns is done.

        Args:
            name: What the task is called in logs and in ``/readyz``.
            work: Does it; called again after each failure, so what it is to remember is kept elsewhere.
            outages: Errors that say no more than that a server is unavailable. Any other is a defect.
            longest: The longest pause, in seconds.
        """
        task = BackgroundTask(name, work, outages, longest)
        self._tasks = {known for known in self._tasks if not known.over}
        self._tasks.add(task)
        return task

    @property
    def ended(self) -> dict[str, str]:
        """Why tasks have ended that nobody has stopped, by their names; they begin again soon."""
        return {task.name: task.ended for task in self._tasks if task.ended}

    def failing(self, longest: float) -> dict[str, str]:
        """Return the last errors of the tasks that have not worked for `longest` seconds, by their names."""
        return {task.name: task.trouble for task in self._tasks if task.failing > longest}

    async def stop(self) -> None:
        """Stop the tasks that are left."""
        await stop_all([task for task in self._tasks if not task.over])

    @property
    def names(self) -> frozenset[str]:
        """The names of the tasks that are not done."""
        return frozenset(task.name for task in self._tasks if not task.over)


class BackgroundTask:
    """Work in the background; `Background.start` starts it.

    Args:
        name: See `Background.start`.
        work: See `Background.start`.
        outages: See `Background.start`.
        longest: See `Background.start`.

    Attributes:
        name: Its name.
        over: Whether it was stopped, or its work is done.
        ended: Why it has ended although nobody stopped it; empty while it runs.
        trouble: The last error.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[], Awaitable[None]],
        outages: tuple[type[Exception], ...],
        longest: float,
    ) -> None:
        self.name = name
        self.over = False
        self.ended = ""
        self.trouble = ""
        self._work = work
        self._outages = outages
        self._longest = longest
        self._failing_since: float | None = None
        self._pause = 0.0
        self._began = 0.0
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None]
        self._begin()

    @property
    def failing(self) -> float:
        """For how many seconds it has failed again and again; 0 while it works."""
        if self._failing_since is None or self.over or self._works:
            return 0.0
        return self._loop.time() - self._failing_since

    async def stop(self, patience: float = 0.0) -> None:
        """Stop it; give it some seconds to return by itself first."""
        if patience and not self.over:
            await asyncio.wait([self._task], timeout=patience)
        self.over = True
        if self._timer is not None:
            self._timer.cancel()
        self._task.cancel()
        await asyncio.wait([self._task])

    @property
    def _works(self) -> bool:
        """Whether its last attempt has lasted for longer than a pause."""
        return self._began > 0 and self._loop.time() - self._began > self._longest

    def _begin(self) -> None:
        self.ended, self._timer = "", None
        # A context of its own: it works for all callers, not for the one that started it.
        self._task = self._loop.create_task(self._run(), name=self.name, context=Context())
        self._task.add_done_callback(self._done)

    async def _run(self) -> None:
        while True:
            self._began = self._loop.time()
            try:
                await self._work()
                self.over = True
                return
            except Exception as error:
                self._failed(error)
            await asyncio.sleep(self._pause)

    def _failed(self, error: Exception) -> None:
        if self._works:
            self._failing_since, self._pause, self.trouble = None, 0.0, ""
        self._began = 0.0
        self._failing_since = self._failing_since or self._loop.time()
        self._pause = min(self._longest, max(_SHORTEST, 2 * self._pause))
        text = str(error) or type(error).__name__
        if isinstance(error, self._outages):
            _log.debug("%s waits: %s", self.name, text)
        elif text != self.trouble:
            _log.error("%s fails and is tried again: %s", self.name, text, exc_info=error)
        self.trouble = text

    def _done(self, task: asyncio.Task[None]) -> None:
        """Begin again what was ended from outside, or by what is no error."""
        if self.over:
            return
        error = None if task.cancelled() else task.exception()
        self.ended = "was cancelled" if error is None else f"ended with {type(error).__name__}: {error}"
        self._failing_since, self._pause = None, min(self._longest, max(1.0, 2 * self._pause))
        _log.error("%s %s; it begins again in %.1f s", self.name, self.ended, self._pause)
        self._timer = self._loop.call_later(self._pause, self._begin)


async def stop_all(tasks: Iterable[BackgroundTask], patience: float = 0.0) -> None:
    """Stop tasks together; see `BackgroundTask.stop`."""
    await asyncio.gather(*(task.stop(patience) for task in tasks))
