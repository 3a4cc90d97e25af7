"""The gRPC server of a context process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from temporalio.client import Client

from intent.errors import ConfigurationError
from intent.model import BoundContext
from intent.process.command_path import CommandPath
from intent.process.consumers import serving_consumers
from intent.process.databases import Databases
from intent.process.probes import consumers_probe
from intent.projections.reader import ReadModels
from intent.projections.supervisor import ProjectionSupervisor
from intent.saga_host import SagaDirectory
from intent.service import (
    ContextServer,
    DevIdentityProvider,
    IdentityProvider,
    Probe,
    ServiceParts,
    ServiceSettings,
)
from intent.settings.config import Settings
from intent.store.postgres import open_pool
from intent.telemetry.calls import CallObserver
from intent.telemetry.metrics import Metrics
from intent.telemetry.tracing import Tracing

__all__ = ["running_server"]


@asynccontextmanager
async def running_server(
    settings: Settings,
    databases: Databases,
    path: CommandPath,
    projections: ProjectionSupervisor,
    client: Client,
    probes: Sequence[Probe],
    *,
    context: BoundContext,
    metrics: Metrics,
    tracing: Tracing,
) -> AsyncIterator[ContextServer]:
    """Serve a context over gRPC for the duration of the context manager.

    Raises:
        ConfigurationError: The port is taken, or PostgreSQL refuses the query role.
    """
    async with (
        serving_consumers(databases.consumers, context.name, settings, metrics) as consumers,
        _reader(settings, context, tracing) as reader,
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
            tracer=CallObserver(metrics, tracing.calls),
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
async def _reader(settings: Settings, context: BoundContext, tracing: Tracing) -> AsyncIterator[ReadModels]:
    pool = await open_pool(
        settings.query_database_url or settings.database_url,
        connections=settings.query_connections,
        direct_dsn=settings.database_direct_url,
        read_only=True,
    )
    try:
        yield tracing.watch(ReadModels(pool, context), "postgresql", "get", "list")
    finally:
        pool.terminate()


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
