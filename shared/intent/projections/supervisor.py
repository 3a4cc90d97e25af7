"""Runs all projections of a context in one process, and lets an operator rebuild them and skip events."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import dataclass

from intent_contracts.intent.v1 import ProjectionStatus, RebuildProjectionResponse

from intent.background import Background, BackgroundTask, stop_all
from intent.errors import NotFound, StoreUnavailable
from intent.guarding import Guard
from intent.model import BoundContext
from intent.projections.counters import ProjectionCounters
from intent.projections.database import ProjectionDatabase
from intent.projections.environment import Environment, RebuildAccess
from intent.projections.presence import Presence
from intent.projections.rebuilding.courtesy import Courtesy
from intent.projections.rebuilding.index_builds import IndexBuilds
from intent.projections.rebuilding.rebuild import Rebuild
from intent.projections.runner import ProjectionRunner
from intent.projections.skips import note_skip
from intent.projections.state import read_statuses
from intent.read_models.definition import Definition, definitions_of
from intent.store.event_store import EventStore
from intent.store.feed import LogFeed
from intent.store.postgres.pools import ConnectionPool

__all__ = ["ProjectionSettings", "ProjectionSupervisor"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ProjectionSettings:
    """How projections run.

    Attributes:
        page_size: The most events that are applied in one transaction.
        rebuild_page_size: The most events that a rebuild applies in one transaction.
        gone_after: After how many seconds a version of the code that no process runs any more counts as
            gone, so that another version, which was declared before, takes its projections up.
    """

    page_size: int = 1_000
    rebuild_page_size: int = 4_000
    gone_after: float = 60.0


class ProjectionSupervisor:
    """Owns the runners of a context's projections.

    Args:
        context: The context.
        store: Its log.
        pool: Connections of the service role.
        settings: How the projections run.
        schema: The schema of the context; by default its name.
        rebuilds: Connections for rebuilds; by default the same.
        guard: What the code of projections runs under; by default one that notes nothing.
        background: Runs the projections.
    """

    def __init__(
        self,
        context: BoundContext,
        store: EventStore,
        pool: ConnectionPool,
        settings: ProjectionSettings | None = None,
        *,
        schema: str | None = None,
        rebuilds: RebuildAccess | None = None,
        guard: Guard | None = None,
        background: Background | None = None,
    ) -> None:
        guard = guard or Guard()
        self._background = background or Background()
        self._settings = settings or ProjectionSettings()
        self._store = store
        self._database = ProjectionDatabase(pool, schema or context.name)
        worker = f"{socket.gethostname()}:{os.getpid()}"
        self._environment = Environment(store, self._database, context.upcasters.event, worker, guard)
        beside = rebuilds or RebuildAccess(store, pool)
        rebuilding = ProjectionDatabase(beside.pool, schema or context.name)
        self._rebuilding = Environment(beside.store, rebuilding, context.upcasters.event, worker, guard)
        self._indexes = IndexBuilds(rebuilding)
        self._courtesy = Courtesy()
        self._feed = LogFeed(store)
        self._database.on_loss(self._feed.wake)
        store.epochs.on_begin(self._database.lost)
        definitions = definitions_of(context)
        self._presence = Presence(self._database, definitions, self._settings.gone_after)
        self._runners = {definition.name: self._runner(definition) for definition in definitions}
        self._rebuilds: dict[str, tuple[Rebuild, BackgroundTask]] = {}
        self._tasks: list[BackgroundTask] = []

    async def start(self) -> None:
        """Start running; do not wait until the projections have reached any position."""
        self._tasks = [
            self._feed.start("projections: feed", self._background),
            self._background.start("projections: presence", self._presence.keep, outages=(StoreUnavailable,)),
        ]
        for runner in self._runners.values():
            self._tasks.append(self._background.start(f"projection {runner.name}", runner.run))

    async def stop(self) -> None:
        """Stop all work; the next process to run does again what was not committed."""
        await stop_all([*self._tasks, *(task for _, task in self._rebuilds.values())])
        self._feed.close()

    def yield_to(self, busy: Callable[[], bool]) -> None:
        """Let rebuilds leave the process to commands while `busy` returns True."""
        self._courtesy.busy = busy

    def distrust(self) -> None:
        """Read the checkpoints again: the server may have crashed, and lost commits that were not durable."""
        self._database.lost()

    async def reach(
        self, position: int, timeout: float, names: Collection[str] | None = None
    ) -> Sequence[str]:
        """Wait until projections are at a position or later.

        A projection that cannot get there soon, because an event fails or its rows are being
        rebuilt, is not waited for.

        Args:
            position: The position of the log.
            timeout: How long to wait at most, in seconds; 0 only checks.
            names: Which projections; None: all.

        Returns:
            The names of those that are not there.
        """
        runners = [r for name, r in self._runners.items() if names is None or name in names]
        behind = [runner for runner in runners if runner.certain_position < position]
        if behind and timeout > 0:
            for runner in behind:
                runner.expect(position)
            waits = [runner.reached(position) for runner in behind]
            _, late = await asyncio.wait(waits, timeout=timeout)
            for wait in late:
                wait.cancel()
        return [runner.name for runner in behind if runner.certain_position < position]

    def position_of(self, name: str) -> int:
        """Return a position that a projection has certainly reached; 0 for an unknown name."""
        runner = self._runners.get(name)
        return runner.certain_position if runner is not None else 0

    def counters(self) -> Sequence[ProjectionCounters]:
        """Return the counters of each projection, for metrics."""
        return [runner.current_counters() for runner in self._runners.values()]

    async def measure(self) -> None:
        """Measure how far behind the projections are, against the log itself; wake those that are.

        Raises:
            StoreUnavailable: The database is unavailable.
        """
        head = await self._store.position()
        self._feed.reported(head)
        for runner in self._runners.values():
            runner.measured(head)

    def stalled(self, longest: float) -> str:
        """Return which projections made no progress for `longest` seconds despite work; empty: none.

        A failing event is no stall: the status shows it, and the process is not the cause.
        """
        stalled = [r for r in self._runners.values() if r.stalled > longest]
        return "; ".join(
            f"{r.name} has not moved for {r.stalled:.0f} s{r.trouble and f': {r.trouble}'}" for r in stalled
        )

    async def statuses(self) -> Sequence[ProjectionStatus]:
        """Return the status of each projection.

        Raises:
            StoreUnavailable: The database is unavailable.
        """
        head = await self._store.position()
        statuses = await read_statuses(self._database, list(self._runners), head)
        for status in statuses:
            status.last_error = status.last_error or self._runners[status.name].trouble
        return statuses

    async def rebuild(self, name: str) -> AsyncIterator[RebuildProjectionResponse]:
        """Rebuild a projection, or join its rebuild, and yield the progress until it is done.

        The rebuild continues when the caller no longer listens.

        Raises:
            NotFound: There is no such projection.
            Rejected: The last migration declared another version or shape than this code has.
        """
        rebuild = self._begin_rebuild(self._known(name).definition)
        async for progress in rebuild.watch():
            yield progress

    async def skip(
        self, name: str, position: int, reason: str, actor: str, *, force: bool = False
    ) -> ProjectionStatus:
        """Let a projection skip one event that it has not applied; the reason and actor are recorded.

        Raises:
            NotFound: There is no such projection.
            InvalidCommand: The event was applied, or does not exist, or the projection does not fail
                on it and `force` is False.
            StoreUnavailable: The database is unavailable.
        """
        runner = self._known(name)
        head = await self._store.position()
        await note_skip(self._database, name, position, head, reason, actor, force=force)
        _log.warning("projection %s skips event %d, as decided by %s: %s", name, position, actor, reason)
        runner.hurry()
        if name in self._rebuilds:
            self._rebuilds[name][0].hurry()
        await self.reach(position, 1.0, (name,))
        return next(status for status in await self.statuses() if status.name == name)

    def _runner(self, definition: Definition) -> ProjectionRunner:
        return ProjectionRunner(
            definition,
            self._environment,
            self._feed,
            self._settings.page_size,
            self._begin_rebuild,
            self._presence.take_up,
        )

    def _known(self, name: str) -> ProjectionRunner:
        runner = self._runners.get(name)
        if runner is None:
            known = ", ".join(self._runners) or "none"
            raise NotFound("PROJECTION_NOT_FOUND", f"there is no projection {name!r}; there are: {known}")
        return runner

    def _begin_rebuild(self, definition: Definition) -> Rebuild:
        """Start a rebuild in the background, or return the one that is under way."""
        under_way = self._rebuilds.get(definition.name)
        if under_way is not None and not under_way[1].over:
            return under_way[0]
        runner = self._runners[definition.name]
        rebuild = Rebuild(
            definition,
            self._rebuilding,
            self._indexes,
            self._courtesy,
            self._settings.rebuild_page_size,
            runner.counters,
            runner.hurry,
        )
        task = self._background.start(f"rebuild {definition.name}", rebuild.run)
        self._rebuilds[definition.name] = (rebuild, task)
        return rebuild
