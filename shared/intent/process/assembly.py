"""The assembly of a context process: store, read models, router, workers and gRPC server."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from temporalio.client import Client

from intent.commands import (
    AggregateCache,
    BatchObserver,
    Carrier,
    CarrierSettings,
    CommandHandling,
    CommandReports,
    ContextActivities,
    LaneLimits,
    LocalOutcomes,
    RouterSettings,
    WorkflowRouter,
)
from intent.errors import ConfigurationError
from intent.guarding import Guard
from intent.model import BoundContext
from intent.process.consumers import running_consumers, serving_consumers
from intent.process.databases import Databases, opened_databases
from intent.process.garbage_collection import relax_garbage_collection
from intent.process.guarding import ended_when_stuck, guarding, suspicion
from intent.process.probes import STALLED, consumers_probe, probes_of
from intent.process.sockets import free_port
from intent.process.workers import running_workers
from intent.projections.reader import ReadModels
from intent.projections.supervisor import ProjectionSupervisor
from intent.saga_host import EventDelivery, SagaDirectory
from intent.service import (
    ContextServer,
    DevIdentityProvider,
    HealthMonitor,
    IdentityProvider,
    Probe,
    ServiceParts,
    ServiceSettings,
    store_probe,
)
from intent.settings.config import Settings
from intent.store.postgres import PostgresEventStore, open_pool
from intent.telemetry.calls import CallObserver
from intent.telemetry.endpoint import MetricsEndpoint
from intent.telemetry.metrics import Metrics
from intent.telemetry.tracing import setup_tracing
from intent.temporal.backlog import BacklogWatch
from intent.temporal.connection import connect_temporal, require_search_attributes
from intent.temporal.current_version import CurrentVersion
from intent.temporal.names import command_queue, saga_queue

__all__ = ["CommandPath", "ContextProcess", "command_path"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CommandPath:
    """What carries commands from the router to the log.

    Attributes:
        store: The event store.
        router: Accepts the commands.
        activities: The activities that a worker of the context registers.
        guard: What the code of the context runs under.
    """

    store: PostgresEventStore
    router: WorkflowRouter
    activities: ContextActivities
    guard: Guard


def command_path(
    settings: Settings,
    context: BoundContext,
    client: Client,
    store: PostgresEventStore,
    projections: ProjectionSupervisor,
    observer: BatchObserver | None = None,
    *,
    guard: Guard | None = None,
    work: bool = True,
    sagas_start_here: Callable[[], bool] = lambda: False,
) -> CommandPath:
    """Connect router, lanes, carriers and activities of one context.

    Without a worker in this process, nothing here hands outcomes to the carriers directly. The outcomes
    of its own batches then arrive like those of other contexts: as the results of their workflows.

    Args:
        settings: The settings of the process.
        context: The context.
        client: A client of Temporal.
        store: The event store.
        projections: Runs the context's projections.
        observer: Counts batches.
        guard: What the code of the context runs under; None: one that notes nothing.
        work: Whether this process has a worker.
        sagas_start_here: Returns whether sagas of the context may currently start in this process.
    """
    local_outcomes = LocalOutcomes()
    guard = guard or Guard(settings.handler_timeout)

    def carrier_of(name: str) -> Carrier:
        own = name == context.name
        return Carrier(
            name,
            client,
            store=store if own and work else None,
            projections=projections if own else None,
            local_outcomes=local_outcomes,
            settings=CarrierSettings(
                project_wait=settings.project_wait, unavailable_after=settings.unavailable_after
            ),
            observer=observer,
        )

    reports = CommandReports(context.name, client, store)
    router = WorkflowRouter(carrier_of, reports, _router(settings), suspicion(guard.doubts))
    undeclared = observer.rejection_undeclared if observer is not None else lambda *_: None
    handling = CommandHandling(context, store, _cache(settings), undeclared=undeclared, guard=guard)
    delivery = EventDelivery(context, client, sagas_start_here)
    activities = ContextActivities(context, store, handling, projections, router, delivery, local_outcomes)
    return CommandPath(store, router, activities, guard)


def _cache(settings: Settings) -> AggregateCache:
    return AggregateCache(settings.cached_aggregates, settings.cached_aggregates_max_bytes)


def _router(settings: Settings) -> RouterSettings:
    limits = LaneLimits(
        batch_commands=settings.batch_max_commands,
        batch_bytes=settings.batch_max_bytes,
        capacity=settings.lane_capacity,
        capacity_bytes=settings.lane_max_bytes,
        overdue_after=settings.unavailable_after / 2,
    )
    return RouterSettings(settings.lanes, limits, settings.unavailable_after)


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
            stack.callback(self._tracing.close)
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
                server = await stack.enter_async_context(
                    self._server(databases, path, projections, client, probes)
                )
                health = server.health
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
    async def _server(
        self,
        databases: Databases,
        path: CommandPath,
        projections: ProjectionSupervisor,
        client: Client,
        probes: Sequence[Probe],
    ) -> AsyncIterator[ContextServer]:
        context, settings = self._context, self._settings
        async with (
            serving_consumers(databases.consumers, context.name, settings, self._metrics) as consumers,
            self._reader() as reader,
        ):
            parts = ServiceParts(
                context=context,
                router=path.router,
                store=path.store,
                reader=reader,
                read_side=projections,
                operator=projections,
                sagas=_sagas(context, client),
                identities=_identities(settings),
                tracer=CallObserver(self._metrics, self._tracing.calls),
                probes=[*probes, consumers_probe(consumers)],
                consumers=consumers,
                guard=path.guard,
            )
            server = ContextServer(parts, _service(settings))
            await server.start()
            try:
                yield server
            finally:
                await server.stop()

    @asynccontextmanager
    async def _projections(self, databases: Databases, guard: Guard) -> AsyncIterator[ProjectionSupervisor]:
        store = databases.projections
        supervisor = ProjectionSupervisor(
            self._context, store, store.pool, rebuilds=databases.rebuilds, guard=guard
        )
        self._metrics.watch_projections(supervisor.counters)
        await supervisor.start()
        try:
            yield supervisor
        finally:
            await supervisor.stop()

    @asynccontextmanager
    async def _reader(self) -> AsyncIterator[ReadModels]:
        settings = self._settings
        pool = await open_pool(
            settings.query_database_url or settings.database_url,
            connections=settings.query_connections,
            direct_dsn=settings.database_direct_url,
            read_only=True,
        )
        try:
            yield self._tracing.watch(ReadModels(pool, self._context), "postgresql", "get", "list")
        finally:
            pool.terminate()

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


def _identities(settings: Settings) -> IdentityProvider:
    if settings.identity_mode == "dev":
        return DevIdentityProvider(
            dev_mode=settings.dev, enabled=True, default_roles=frozenset(settings.dev_roles)
        )
    raise ConfigurationError(
        "tokens are not supported yet: set INTENT_IDENTITY_MODE=dev where only trusted callers reach the port"
    )


def _sagas(context: BoundContext, client: Client) -> SagaDirectory:
    own = (saga.type for saga in context.registry.sagas.values() if saga.context == context.name)
    return SagaDirectory(context.name, own, client)


def _service(settings: Settings) -> ServiceSettings:
    return ServiceSettings(
        host=settings.host,
        port=settings.port,
        listeners=settings.grpc_listeners,
        transport_bytes=settings.grpc_max_message_bytes,
        calls=settings.grpc_max_calls,
        tenant_calls=settings.grpc_max_calls_per_tenant,
        tenant_streams=settings.grpc_max_streams_per_tenant,
        caller_streams=settings.grpc_max_streams_per_caller,
        anonymous_streams=settings.grpc_max_anonymous_streams,
        connections=settings.grpc_max_connections,
        connection_streams=settings.grpc_max_streams_per_connection,
        max_connection_idle=settings.grpc_max_connection_idle,
        shutdown_grace=settings.drain_timeout,
        keepalive_time=settings.grpc_keepalive_time,
        keepalive_timeout=settings.grpc_keepalive_timeout,
        max_connection_age=settings.grpc_max_connection_age,
        max_connection_age_grace=settings.grpc_max_connection_age_grace,
    )
