"""Runs all projections of a context in one process, and lets an operator mend them."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass

import asyncpg
from intent_contracts.intent.v1 import ProjectionStatus, RebuildProjectionResponse

from intent.errors import NotFound
from intent.model import BoundContext
from intent.projections.counters import ProjectionCounters
from intent.projections.database import ProjectionDatabase
from intent.projections.environment import Environment
from intent.projections.rebuild import Rebuild
from intent.projections.runner import ProjectionRunner
from intent.projections.skips import note_skip
from intent.projections.state import read_statuses
from intent.read_models.definition import Definition, definitions_of
from intent.store.event_store import EventStore
from intent.store.feed import LogFeed

__all__ = ["ProjectionSettings", "ProjectionSupervisor"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ProjectionSettings:
    """How projections run.

    Attributes:
        page_size: How many events are applied in one transaction.
        rebuild_page_size: How many of them during a rebuild.
    """

    page_size: int = 1_000
    rebuild_page_size: int = 4_000


class ProjectionSupervisor:
    """Owns the runners of a context's projections.

    Args:
        context: The context.
        store: Its log.
        pool: Connections of the service role.
        settings: How the projections run.
        schema: The schema of the context; by default its name.
    """

    def __init__(
        self,
        context: BoundContext,
        store: EventStore,
        pool: asyncpg.Pool,
        settings: ProjectionSettings | None = None,
        *,
        schema: str | None = None,
    ) -> None:
        self._settings = settings or ProjectionSettings()
        self._store = store
        self._database = ProjectionDatabase(pool, schema or context.name)
        worker = f"{socket.gethostname()}:{os.getpid()}"
        self._environment = Environment(store, self._database, context.upcasters.event, worker)
        self._feed = LogFeed(store)
        self._database.on_loss(self._feed.wake)
        self._runners = {definition.name: self._runner(definition) for definition in definitions_of(context)}
        self._rebuilds: dict[str, tuple[Rebuild, asyncio.Task[None]]] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begins to run; does not wait for the projections to be anywhere."""
        self._tasks = [asyncio.create_task(self._feed.run(), name="projections: feed")]
        for runner in self._runners.values():
            self._tasks.append(asyncio.create_task(runner.run(), name=f"projection {runner.name}"))

    async def stop(self) -> None:
        """Ends all work; what was not committed is done again by whoever runs next."""
        tasks = [*self._tasks, *(task for _, task in self._rebuilds.values())]
        for task in tasks:
            task.cancel()
        self._feed.close()
        if tasks:
            await asyncio.wait(tasks)

    async def reach(
        self, position: int, timeout: float, names: Collection[str] | None = None
    ) -> Sequence[str]:
        """Waits until projections are at a position or later.

        A projection that cannot get there soon, because an event fails or its rows are being
        rebuilt, is not waited for.

        Args:
            position: The position of the log.
            timeout: How long to wait at most, in seconds; 0 only looks.
            names: Which projections; None: all.

        Returns:
            The names of those that are not there.
        """
        runners = [r for name, r in self._runners.items() if names is None or name in names]
        behind = [runner for runner in runners if runner.position < position]
        if behind and timeout > 0:
            for runner in behind:
                runner.expect(position)
            waits = [runner.reached(position) for runner in behind]
            _, late = await asyncio.wait(waits, timeout=timeout)
            for wait in late:
                wait.cancel()
        return [runner.name for runner in behind if runner.position < position]

    def position_of(self, name: str) -> int:
        """Returns a position that a projection has surely reached; 0 for an unknown name."""
        runner = self._runners.get(name)
        return runner.position if runner is not None else 0

    def counters(self) -> Sequence[ProjectionCounters]:
        """Returns the figures of each projection, for metrics."""
        return [runner.figures() for runner in self._runners.values()]

    def stalled(self, longest: float) -> str:
        """Tells what has had work for more than `longest` seconds and got nowhere; empty: nothing.

        A failing event is no stall: it shows in the status, and the process is not to blame.
        """
        stalled = [r for r in self._runners.values() if r.stalled > longest]
        return "; ".join(f"{r.name} has not moved for {r.stalled:.0f} s: {r.trouble}" for r in stalled)

    async def statuses(self) -> Sequence[ProjectionStatus]:
        """Returns the status of each projection.

        Raises:
            StoreUnavailable: The database is away.
        """
        head = await self._store.position()
        statuses = await read_statuses(self._database, list(self._runners), head)
        for status in statuses:
            status.last_error = status.last_error or self._runners[status.name].trouble
        return statuses

    async def rebuild(self, name: str) -> AsyncIterator[RebuildProjectionResponse]:
        """Rebuilds a projection, or joins its rebuild, and yields how far it is until it is done.

        The rebuild goes on when the caller no longer listens.

        Raises:
            NotFound: There is no such projection.
            Rejected: This code is not the one that the last migration declared.
        """
        rebuild = self._begin_rebuild(self._known(name).definition)
        async for progress in rebuild.watch():
            yield progress

    async def skip(self, name: str, position: int, reason: str, actor: str) -> ProjectionStatus:
        """Makes a projection pass over one event that it has not applied; that is recorded.

        Raises:
            NotFound: There is no such projection.
            InvalidCommand: The event was applied, or does not exist.
            StoreUnavailable: The database is away.
        """
        runner = self._known(name)
        head = await self._store.position()
        await note_skip(self._database, name, position, head, reason, actor)
        _log.warning("projection %s passes over event %d, says %s: %s", name, position, actor, reason)
        runner.hurry()
        if name in self._rebuilds:
            self._rebuilds[name][0].hurry()
        await self.reach(position, 1.0, (name,))
        return next(status for status in await self.statuses() if status.name == name)

    def _runner(self, definition: Definition) -> ProjectionRunner:
        return ProjectionRunner(
            definition, self._environment, self._feed, self._settings.page_size, self._begin_rebuild
        )

    def _known(self, name: str) -> ProjectionRunner:
        runner = self._runners.get(name)
        if runner is None:
            known = ", ".join(self._runners) or "none"
            raise NotFound("PROJECTION_NOT_FOUND", f"there is no projection {name!r}; there are: {known}")
        return runner

    def _begin_rebuild(self, definition: Definition) -> Rebuild:
        """Starts a rebuild in the background, unless one is under way."""
        under_way = self._rebuilds.get(definition.name)
        if under_way is not None and not under_way[1].done():
            return under_way[0]
        runner = self._runners[definition.name]
        rebuild = Rebuild(
            definition,
            self._environment,
            self._settings.rebuild_page_size,
            runner.counters,
            runner.hurry,
        )
        task = asyncio.create_task(rebuild.run(), name=f"rebuild {definition.name}")
        task.add_done_callback(_log_failure)
        self._rebuilds[definition.name] = (rebuild, task)
        return rebuild


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        _log.error("%s ended: %s", task.get_name(), task.exception())
