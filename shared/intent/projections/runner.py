"""Keeps one projection at the head of the log, through failures of its code and of the database."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final

from intent.errors import ConfigurationError, StoreUnavailable
from intent.projections.counters import ProjectionCounters
from intent.projections.environment import Environment
from intent.projections.pace import Pace
from intent.projections.state import ProjectionState, read_state
from intent.projections.writer import Applied, GenerationGoneError, GenerationWriter, backoff
from intent.read_models.definition import Definition
from intent.store.feed import LogFeed
from intent.waiting import set_within

__all__ = ["ProjectionRunner"]

_log = logging.getLogger(__name__)

_POLL_INTERVAL: Final = 1.0
"""How often, in seconds, a runner that waits checks whether another process has moved the checkpoint."""

_MOMENT: Final = 0.02
"""The pause, in seconds, before the next look at a generation that has gone."""

_LONGEST_PAUSE: Final = 5.0
"""The longest pause, in seconds, between two attempts to reach the database."""


class ProjectionRunner:
    """Runs one projection in this process; other processes may run it too.

    Args:
        definition: The projection.
        environment: Where its rows are.
        feed: The log.
        page_size: The most events that are applied in one transaction.
        rebuild: Called when the projection's rows must be rebuilt, or its rebuild resumed.
        take_up: Declares this version of the code if no process runs the declared one; returns whether
            it did.

    Attributes:
        position: The position that it has reached, as far as this process knows.
        stuck: True when it will not move soon: an event fails, or only other code may write the rows.
        trouble: What is wrong; empty when nothing is.
    """

    def __init__(
        self,
        definition: Definition,
        environment: Environment,
        feed: LogFeed,
        page_size: int,
        rebuild: Callable[[Definition], object],
        take_up: Callable[[Definition], Awaitable[bool]],
    ) -> None:
        self.definition = definition
        self.counters = ProjectionCounters(definition.name)
        self.position = 0
        self.stuck = False
        self.trouble = ""
        self._environment = environment
        self._feed = feed
        self._pace = Pace(page_size)
        self._rebuild = rebuild
        self._take_up = take_up
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []
        self._now = asyncio.Event()
        self._outages = 0
        self._losses = 0
        self._moved_at = time.monotonic()
        self._behind_since: float | None = None

    @property
    def name(self) -> str:
        """The projection's name."""
        return self.definition.name

    @property
    def certain_position(self) -> int:
        """The position that it has certainly reached.

        It is 0 from the loss of a connection until the checkpoint was read again: a server that crashed
        may have lost the last pages.
        """
        return self.position if self._environment.database.losses == self._losses else 0

    @property
    def lag(self) -> int:
        """How many events it is behind the log, as far as the store has reported it."""
        return max(0, self._feed.end - self.position)

    @property
    def stalled(self) -> float:
        """For how many seconds it has had work without progress; 0 while `stuck`, which the status shows."""
        if self._behind_since is None or self.stuck:
            return 0.0
        return time.monotonic() - max(self._behind_since, self._moved_at)

    def reached(self, position: int) -> asyncio.Future[None]:
        """Return a future that is done once the projection is at a position, or is stuck."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append((position, future))
        self._wake_waiters()
        return future

    def hurry(self) -> None:
        """End the current pause: what failed may succeed now, so callers may wait for it again."""
        self.stuck = False
        self._now.set()

    def expect(self, position: int) -> None:
        """Note that the log has reached a position, which also proves that the database is available."""
        self._feed.hint(position)
        if self._outages:
            self._now.set()

    def measured(self, head: int) -> None:
        """Note whether it has work, given the last position of the log."""
        if self.position >= head:
            self._behind_since = None
        elif self._behind_since is None:
            self._behind_since = time.monotonic()

    def current_counters(self) -> ProjectionCounters:
        """Return the counters, brought up to date."""
        self.counters.position = self.position
        self.counters.lag = self.lag
        self.counters.failing = self.stuck
        return self.counters

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            try:
                await self._run()
            except GenerationGoneError:
                await asyncio.sleep(_MOMENT)
            except StoreUnavailable as error:
                self._pace.failed()
                await self._pause_after(error)
            except Exception as error:
                level = logging.ERROR if isinstance(error, ConfigurationError) else logging.CRITICAL
                _log.log(level, "projection %s stops: %s", self.name, error, exc_info=level > logging.ERROR)
                await self._pause_after(error)

    async def _run(self) -> None:
        database = self._environment.database
        losses = database.losses
        state = await read_state(database, self.definition)
        self._outages = 0
        self._losses = losses
        self._move_to(state.position)
        if state.declared and (state.rebuilding or not state.fits):
            self._rebuild(self.definition)
        if state.fits:
            await self._follow(state, losses)
        elif not state.declared and await self._take_up(self.definition):
            _log.warning(
                "projection %s: no process runs version %d of its code any more; version %d takes it up and "
                "rebuilds its rows",
                *(self.name, state.declared_version, self.definition.version),
            )
        else:
            self._mark_stuck(_reason(state, self.definition))
            await self._pause(_POLL_INTERVAL)

    async def _follow(self, state: ProjectionState, losses: int) -> None:
        """Apply page after page, until a connection is lost.

        A server that crashed may have lost the last pages, since their commits do not wait for
        the disk; so the checkpoint must be read again, even if no new event arrives.
        """
        writer = GenerationWriter(self.definition, state.generation, state.position, self._environment)
        # A process that has just started may run the corrected code: it does not wait for the retry.
        impatient = True
        retry_in = 0.0
        self._mark_running()
        while self._environment.database.losses == losses:
            if self._feed.head <= writer.position:
                await self._feed.wait_beyond(writer.position)
                continue
            entries = await self._feed.page(writer.position, 1 if retry_in else self._pace.size)
            if not entries:
                await asyncio.sleep(0.01)
                continue
            applied = await writer.apply(entries, impatient=impatient)
            self._pace.took(entries)
            self._count(applied)
            retry_in = applied.retry_in
            impatient = retry_in > 0 and await self._pause(min(retry_in, _POLL_INTERVAL))

    def _count(self, applied: Applied) -> None:
        self.counters.events += applied.events
        self.counters.rows += applied.rows
        if applied.failure is not None:
            self.counters.failures += 1
            error = applied.failure.error
            _log.error(
                "projection %s: event %d: %s", self.name, applied.failure.position, error, exc_info=error
            )
        if applied.waits_for:
            reason = f"waits at event {applied.position + 1}: {applied.waits_for}"
            if reason != self.trouble:
                _log.warning("projection %s %s", self.name, reason)
            self._mark_stuck(reason)
        elif applied.retry_in > 0:
            self._mark_stuck(f"fails on event {applied.position + 1}")
        else:
            self._mark_running()
        self._move_to(applied.position)

    async def _pause_after(self, error: Exception) -> None:
        self._outages += 1
        self.trouble = str(error)
        await self._pause(min(_LONGEST_PAUSE, backoff(self._outages)))

    async def _pause(self, seconds: float) -> bool:
        """Wait, at most until `hurry`; return whether that was called."""
        self._now.clear()
        return await set_within(self._now, seconds)

    def _move_to(self, position: int) -> None:
        if position != self.position:
            self.position, self._moved_at = position, time.monotonic()
        self._wake_waiters()

    def _mark_stuck(self, reason: str) -> None:
        self.stuck, self.trouble = True, reason
        self._wake_waiters()

    def _mark_running(self) -> None:
        self.stuck, self.trouble = False, ""

    def _wake_waiters(self) -> None:
        """Complete the futures whose position is reached; all of them when the projection is stuck."""
        waiting = []
        for position, future in self._waiters:
            if future.done():
                continue
            if self.stuck or self.certain_position >= position:
                future.set_result(None)
            else:
                waiting.append((position, future))
        self._waiters = waiting


def _reason(state: ProjectionState, definition: Definition) -> str:
    if state.declared:
        return "is being rebuilt for another version of its code"
    if state.declared_version > definition.version:
        return f"leaves the work to version {state.declared_version} of its code"
    return "differs from what the last migration declared; run `intent migrate`"
