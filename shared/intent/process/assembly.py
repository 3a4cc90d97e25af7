"""The assembly of a context process: store, read models, router, workers and gRPC server."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from temporalio.client import Client

from intent.errors import ConfigurationError
from intent.guarding import Guard
from intent.model import BoundContext
from intent.process.command_path import CommandPath, command_path
from intent.process.consumers import running_consumers
from intent.process.databases import Databases, opened_databases
from intent.process.garbage_collection import relax_garbage_collection
from intent.process.guarding import ended_when_stuck, guarding
from intent.process.probes import STALLED, probes_of
from intent.process.serving import running_server
from intent.process.sockets import free_port
from intent.process.workers import running_workers
from intent.projections.supervisor import ProjectionSupervisor
from intent.service import HealthMonitor, store_probe
from intent.settings.config import Settings
from intent.telemetry.endpoint import MetricsEndpoint
from intent.telemetry.metrics import Metrics
from intent.telemetry.tracing import setup_tracing
from intent.temporal.backlog import BacklogWatch
from intent.temporal.connection import connect_temporal, require_search_attributes
from intent.temporal.current_version import CurrentVersion
from intent.temporal.names import command_queue, saga_queue

__all__ = ["CommandPath", "ContextProcess"]

_log = logging.getLogger(__name__)


class ContextProcess:
    """One process of a context: a gRPC server, a worker, or both.

    Args:
        settings: The settings.
        context: The context, bound to its contracts.
        serve: Whether it answers gRPC calls.
        work: Whether it polls the context's task queues.
    """

    def __init__(
        self, settings: Settings, context: BoundContext, *, serve: bool = True, work: bool = True
    ) -> None:
        if not serve and not work:
            raise ConfigurationError("a process must serve, work, or both")
        self._settings = settings
        self._context = context
        self._serve = serve
        self._work = work
        self._metrics = Metrics()
        self._tracing = setup_tracing(settings)

    async def run(self) -> None:
        """Run until SIGTERM or SIGINT, then finish the work in flight.

        Raises:
            ConfigurationError: PostgreSQL or Temporal does not answer, or a port is taken.
            BaseExceptionGroup: A worker ended by itself.
        """
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signum, stop.set)
        async with self.started() as path, ended_when_stuck(lambda: path.guard.problem, stop):
            relax_garbage_collection()
            await stop.wait()
            _log.info("stopping: finishing the work in flight")

    @asynccontextmanager
    async def started(self) -> AsyncIterator[CommandPath]:
        """Run the process for the duration of the context."""
        async with AsyncExitStack() as stack:
            settings = self._settings
            stack.push_async_callback(asyncio.to_thread, self._tracing.close)
            databases = await stack.enter_async_context(opened_databases(settings, self._context.name))
            store = self._tracing.watch(databases.commands, "postgresql", "append", "load", "read_log")
            guard = await stack.enter_async_context(guarding(settings, self._context, store))
            projections = await stack.enter_async_context(self._projections(databases, guard))
            temporal_metrics = _temporal_metrics_address(settings)
            client = await connect_temporal(
                settings, metrics_address=temporal_metrics, interceptors=self._tracing.interceptors()
            )
            await require_search_attributes(client)
            current = self._current(client)
            if self._work and self._context.sagas:
                await stack.enter_async_context(current.watched())
            path = command_path(
                settings,
                self._context,
                client,
                store,
                projections,
                self._metrics,
                guard=guard,
                work=self._work,
                sagas_start_here=current.is_current,
            )
            self._metrics.watch_commands(path.router)
            projections.yield_to(lambda: path.router.in_flight > 0)
            self._metrics.watch_batches(lambda: path.router.stalled(STALLED))
            if self._work:
                working = running_workers(client, self._context, path.activities, settings)
                workers = await stack.enter_async_context(working)
            else:
                workers = []
            probes = probes_of(client, workers, projections, path.router)
            if self._serve:
                serving = running_server(
                    settings,
                    databases,
                    path,
                    projections,
                    client,
                    probes,
                    context=self._context,
                    metrics=self._metrics,
                    tracing=self._tracing,
                )
                health = (await stack.enter_async_context(serving)).health
            else:
                health = HealthMonitor((), [store_probe(store), *probes], interval=1.0, timeout=2.0)
                await health.start()
                stack.push_async_callback(health.stop)
            if self._work:
                consuming = running_consumers(self._context, settings, path.router, self._metrics, guard)
                await stack.enter_async_context(consuming)
            await stack.enter_async_context(self._endpoint(health, client, temporal_metrics))
            yield path

    def _current(self, client: Client) -> CurrentVersion:
        settings = self._settings
        queue = saga_queue(self._context.name)
        return CurrentVersion(client, queue, settings.deployment, settings.build_id)

    @asynccontextmanager
    async def _projections(self, databases: Databases, guard: Guard) -> AsyncIterator[ProjectionSupervisor]:
        store = databases.projections
        supervisor = ProjectionSupervisor(
            self._context, store, store.pool, rebuilds=databases.rebuilds, guard=guard
        )
        self._metrics.watch_projections(supervisor.counters)
        # A pooler keeps its callers' connections when the server crashes; the one that listens is direct.
        store.wake_ups.on_loss(supervisor.distrust)
        await supervisor.start()
        try:
            yield supervisor
        finally:
            await supervisor.stop()

    @asynccontextmanager
    async def _endpoint(
        self, health: HealthMonitor, client: Client, temporal: str | None
    ) -> AsyncIterator[None]:
        settings = self._settings
        if settings.metrics_port is None:
            yield
            return
        backlog = _backlog(client, self._context)
        self._metrics.watch_backlog(lambda: backlog.latest)
        endpoint = MetricsEndpoint(
            self._metrics.text,
            lambda: health.problems,
            host=settings.metrics_host,
            port=settings.metrics_port,
            temporal=temporal,
        )
        await endpoint.start()
        await backlog.start()
        try:
            yield
        finally:
            await endpoint.stop()
            await backlog.stop()


def _backlog(client: Client, context: BoundContext) -> BacklogWatch:
    queues = [command_queue(context.name), *([saga_queue(context.name)] if context.sagas else [])]
    return BacklogWatch(client, context.name, queues, sagas=bool(context.sagas))


def _temporal_metrics_address(settings: Settings) -> str | None:
    """Return the address at which the SDK serves its metrics; the process's own endpoint includes them."""
    return None if settings.metrics_port is None else f"127.0.0.1:{free_port()}"
