"""The assembly of a context process: store, read models, router, workers and gRPC server."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from functools import partial

from temporalio.client import Client

from intent.auditing import AuditDatabase
from intent.background import Background
from intent.consumers import ConsumerServing
from intent.errors import ConfigurationError
from intent.guarding import Guard
from intent.model import BoundContext
from intent.process.command_path import CommandPath, command_path
from intent.process.consumers import running_consumers, serving_consumers
from intent.process.databases import Databases, opened_databases
from intent.process.garbage_collection import relax_garbage_collection
from intent.process.guarding import ended_when_stuck, guarding
from intent.process.identities import issuers_of, running_identities, workloads_of
from intent.process.probes import STALLED, probes_of
from intent.process.sagas import followed_log, recorded_ends, saga_directory
from intent.process.serving import open_queries, running_server, service_settings
from intent.process.sockets import LOOPBACK, free_port
from intent.process.startup import Startup, StoppedWhileStarting
from intent.process.workers import Workers, running_workers
from intent.projections.supervisor import ProjectionSupervisor
from intent.saga_host import SagaDirectory
from intent.service import HealthMonitor, Probe, StartingServer, store_probe
from intent.settings.config import Settings
from intent.store.postgres import ConnectionPool, PostgresEventStore
from intent.telemetry.endpoint import MetricsEndpoint
from intent.telemetry.metrics import Metrics
from intent.telemetry.refusals import Refusals, recorded_refusals, warn_without_keys
from intent.telemetry.tracing import setup_tracing
from intent.temporal.backlog import BacklogWatch
from intent.temporal.connection import connect_temporal, require_namespace, temporal_runtime
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
        read_again: Reads the settings again before each attempt to connect, since a Secret may have been
            changed; None: they stay as they are.

    Attributes:
        background: What it does in the background.
    """

    def __init__(
        self,
        settings: Settings,
        context: BoundContext,
        *,
        serve: bool = True,
        work: bool = True,
        read_again: Callable[[], Settings] | None = None,
    ) -> None:
        if not serve and not work:
            raise ConfigurationError("a process must serve, work, or both")
        if serve:
            # Before anything is waited for.
            issuers_of(settings)
            workloads_of(settings)
        self._settings = settings
        self._read_again = read_again or (lambda: self._settings)
        self._context = context
        self._serve = serve
        self._work = work
        self._metrics = Metrics()
        self._tracing = setup_tracing(settings)
        self._stop = asyncio.Event()
        self._startup = Startup(self._stop, self._starting_server() if serve and settings.port else None)
        self.background = Background()

    async def run(self) -> None:
        """Run until SIGTERM or SIGINT, then finish the work in flight.

        Raises:
            ConfigurationError: The process cannot work with its settings, or a port is taken.
        """
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signum, self._stop.set)
        try:
            async with (
                self.started() as path,
                ended_when_stuck(lambda: path.guard.problem, self._stop, self.background),
            ):
                relax_garbage_collection()
                await self._stop.wait()
                _log.info("stopping: finishing the work in flight")
        except StoppedWhileStarting:
            _log.info("stopped while it was starting")

    def readiness(self) -> tuple[bool, Mapping[str, str]]:
        """Return whether the process can do something useful, and what is wrong, by name."""
        return self._startup.readiness()

    @asynccontextmanager
    async def started(self) -> AsyncIterator[CommandPath]:
        """Run the process for the duration of the context; wait first for PostgreSQL and Temporal.

        Raises:
            StoppedWhileStarting: A signal came while it waited.
        """
        async with AsyncExitStack() as stack:
            stack.push_async_callback(asyncio.to_thread, self._tracing.close)
            stack.push_async_callback(self.background.stop)
            temporal_metrics = await stack.enter_async_context(self._endpoint())
            databases, queries = await self._databases(stack)
            store = self._tracing.watch(databases.commands, "postgresql", "append", "load", "read_log")
            self._metrics.watch_epochs(store.epochs)
            available = partial(self._startup.available, "PostgreSQL")
            guarded = guarding(self._settings, self._context, store, self.background, available)
            guard = await stack.enter_async_context(guarded)
            audited = AuditDatabase(databases.consumers.pool, self._context.name)
            recorded = recorded_refusals(self._metrics, audited, self.background)
            refusals = await stack.enter_async_context(recorded)
            client = await self._startup.available("Temporal", self._connecting(temporal_metrics, refusals))
            await self._startup.reached()
            projections = await stack.enter_async_context(self._projections(databases, guard))
            path = await stack.enter_async_context(self._path(client, store, projections, guard))
            consumers = await stack.enter_async_context(
                serving_consumers(
                    databases.consumers, self._context.name, self._settings, self._metrics, self.background
                )
            )
            workers = await stack.enter_async_context(
                self._workers(client, path, databases.consumers, consumers)
            )
            build = self._settings.build_id if self._work else ""
            version = (self._settings.deployment, build) if build else None
            probes = probes_of(client, workers, projections, path.router, serve=self._serve, version=version)
            sagas = saga_directory(self._context, client, databases.consumers)
            served = self._server(consumers, queries, audited, path, projections, sagas, probes)
            self._startup.done(await stack.enter_async_context(served))
            if self._work:
                await stack.enter_async_context(
                    running_consumers(
                        self._context, self._settings, path.router, self._metrics, guard, self.background
                    )
                )
            if self._settings.metrics_port is not None:
                await stack.enter_async_context(self._backlog(client))
            yield path

    def _starting_server(self) -> Callable[[Callable[[], str]], StartingServer]:
        return partial(StartingServer, self._context.name, service_settings(self._settings))

    async def _databases(self, stack: AsyncExitStack) -> tuple[Databases, ConnectionPool | None]:
        """Connect to PostgreSQL; only a process that serves connects to answer queries."""

        async def connect() -> tuple[Databases, ConnectionPool | None]:
            self._settings = self._read_again()
            opened = opened_databases(self._settings, self._context.name, self.background)
            async with AsyncExitStack() as opening:
                databases = await opening.enter_async_context(opened)
                queries = await open_queries(self._settings) if self._serve else None
                if queries is not None:
                    opening.callback(queries.terminate)
                stack.push_async_exit(opening.pop_all())
            return databases, queries

        return await self._startup.available("PostgreSQL", connect)

    def _connecting(self, metrics_address: str | None, refusals: Refusals) -> Callable[[], Awaitable[Client]]:
        runtime = temporal_runtime(metrics_address)
        warn_without_keys(self._settings)

        async def connect() -> Client:
            self._settings = self._read_again()
            interceptors = self._tracing.interceptors()
            client = await connect_temporal(
                self._settings, runtime=runtime, interceptors=interceptors, report=refusals
            )
            await require_namespace(client)
            return client

        return connect

    @asynccontextmanager
    async def _path(
        self, client: Client, store: PostgresEventStore, projections: ProjectionSupervisor, guard: Guard
    ) -> AsyncIterator[CommandPath]:
        settings, context = self._settings, self._context
        current = CurrentVersion(
            client,
            saga_queue(context.name),
            settings.deployment,
            settings.build_id,
            background=self.background,
        )
        path = command_path(
            settings,
            context,
            client,
            store,
            projections,
            self._metrics,
            guard=guard,
            work=self._work,
            sagas_start_here=current.is_current,
            background=self.background,
        )
        self._metrics.watch_commands(path.router)
        projections.yield_to(lambda: path.router.in_flight > 0)
        self._metrics.watch_batches(lambda: path.router.stalled(STALLED))
        async with current.watched() if self._work and context.sagas else nullcontext():
            yield path

    @asynccontextmanager
    async def _workers(
        self, client: Client, path: CommandPath, store: PostgresEventStore, consumers: ConsumerServing
    ) -> AsyncIterator[Workers | None]:
        if not self._work:
            yield None
            return
        context, background = self._context, self.background
        async with (
            recorded_ends(context, client, store, background) as ends,
            running_workers(
                client, context, path.activities, self._settings, ends, background, path.guard
            ) as workers,
            followed_log(path.follower, consumers, background),
        ):
            yield workers

    @asynccontextmanager
    async def _server(
        self,
        consumers: ConsumerServing,
        queries: ConnectionPool | None,
        audited: AuditDatabase,
        path: CommandPath,
        projections: ProjectionSupervisor,
        sagas: SagaDirectory,
        probes: Sequence[Probe],
    ) -> AsyncIterator[HealthMonitor]:
        """Serve, if this process does; yield what knows whether it is ready."""
        if queries is None:
            health = HealthMonitor(
                (),
                [store_probe(path.store), *probes],
                interval=1.0,
                timeout=2.0,
                background=self.background,
            )
            await health.start()
            try:
                yield health
            finally:
                await health.stop()
            return
        async with (
            running_identities(self._settings, self.background) as identities,
            running_server(
                self._settings,
                consumers,
                queries,
                audited,
                path,
                projections,
                sagas,
                probes,
                identities=identities,
                context=self._context,
                metrics=self._metrics,
                tracing=self._tracing,
                background=self.background,
            ) as server,
        ):
            yield server.health

    @asynccontextmanager
    async def _projections(self, databases: Databases, guard: Guard) -> AsyncIterator[ProjectionSupervisor]:
        store = databases.projections
        supervisor = ProjectionSupervisor(
            self._context,
            store,
            store.pool,
            rebuilds=databases.rebuilds,
            guard=guard,
            background=self.background,
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
    async def _endpoint(self) -> AsyncIterator[str | None]:
        """Serve metrics and probes; yield the address at which the Temporal SDK is to serve its own."""
        settings = self._settings
        if settings.metrics_port is None:
            yield None
            return
        temporal = f"{LOOPBACK}:{free_port()}"
        endpoint = MetricsEndpoint(
            self._metrics.text,
            self.readiness,
            host=settings.metrics_host,
            port=settings.metrics_port,
            temporal=temporal,
        )
        await endpoint.start()
        try:
            yield temporal
        finally:
            await endpoint.stop()

    @asynccontextmanager
    async def _backlog(self, client: Client) -> AsyncIterator[None]:
        name, sagas = self._context.name, bool(self._context.sagas)
        queues = [command_queue(name), *([saga_queue(name)] if sagas else [])]
        backlog = BacklogWatch(client, name, queues, sagas=sagas, background=self.background)
        self._metrics.watch_backlog(lambda: backlog.latest)
        await backlog.start()
        try:
            yield
        finally:
            await backlog.stop()
