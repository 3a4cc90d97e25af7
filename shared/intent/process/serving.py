"""The gRPC server of a context process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from intent.auditing import AuditDatabase, Auditor
from intent.background import Background
from intent.consumers import ConsumerServing
from intent.errors import ConfigurationError
from intent.identity import IdentityProvider
from intent.model import BoundContext
from intent.process.command_path import CommandPath
from intent.process.probes import consumers_probe
from intent.projections.reader import ReadModels
from intent.projections.supervisor import ProjectionSupervisor
from intent.saga_host import SagaDirectory
from intent.service import (
    ContextServer,
    Probe,
    ServiceParts,
    ServiceSettings,
)
from intent.settings.config import Settings
from intent.store.postgres import ConnectionPool, open_pool
from intent.telemetry.calls import CallObserver
from intent.telemetry.metrics import Metrics
from intent.telemetry.tracing import Tracing
from intent.tls import ServerTls, TlsFiles

__all__ = ["open_queries", "running_server", "server_tls", "service_settings"]


@asynccontextmanager
async def running_server(
    settings: Settings,
    consumers: ConsumerServing,
    queries: ConnectionPool,
    audited: AuditDatabase,
    path: CommandPath,
    projections: ProjectionSupervisor,
    sagas: SagaDirectory,
    probes: Sequence[Probe],
    *,
    identities: IdentityProvider,
    context: BoundContext,
    metrics: Metrics,
    tracing: Tracing,
    background: Background,
) -> AsyncIterator[ContextServer]:
    """Serve a context over gRPC for the duration of the context manager.

    Args:
        settings: The settings of the process.
        consumers: Serves the consumers of the context.
        queries: The connections for queries.
        audited: Records refusals and what operators do.
        path: The command path.
        projections: Runs the context's projections.
        sagas: Lists and operates the sagas.
        probes: What must make progress.
        identities: Identifies the callers.
        context: The context.
        metrics: Counts what happens.
        tracing: Traces calls and queries.
        background: Runs what is done in the background.

    Raises:
        ConfigurationError: The port is taken.
    """
    audit = Auditor(audited, background)
    metrics.watch_audit(audit)
    parts = ServiceParts(
        context=context,
        router=path.router,
        store=path.store,
        reader=tracing.watch(ReadModels(queries, context), "postgresql", "get", "list"),
        read_side=projections,
        operator=projections,
        sagas=sagas,
        identities=identities,
        tracer=CallObserver(metrics, tracing.calls),
        probes=[*probes, consumers_probe(consumers)],
        consumers=consumers,
        guard=path.guard,
        background=background,
        audit=audit,
        audited=audited,
    )
    server = ContextServer(parts, service_settings(settings))
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


async def open_queries(settings: Settings) -> ConnectionPool:
    """Open the connections for queries.

    Raises:
        ServerUnavailable: PostgreSQL does not answer, or refuses the query role.
        ConfigurationError: The address is wrong.
    """
    return await open_pool(
        settings.query_database_url or settings.database_url,
        connections=settings.query_connections,
        direct_dsn=settings.database_direct_url,
        read_only=True,
    )


def service_settings(settings: Settings) -> ServiceSettings:
    """Return where the gRPC server listens, its TLS and its limits.

    Raises:
        ConfigurationError: The files of TLS cannot be used.
    """
    return ServiceSettings(
        host=settings.host,
        port=settings.port,
        tls=server_tls(settings),
        certificate_port=settings.tls_clients_port,
        listeners=settings.grpc_listeners,
        transport_bytes=settings.grpc_max_message_bytes,
        calls=settings.grpc_max_calls,
        tenant_calls=settings.grpc_max_calls_per_tenant,
        tenant_streams=settings.grpc_max_streams_per_tenant,
        caller_streams=settings.grpc_max_streams_per_caller,
        anonymous_streams=settings.grpc_max_anonymous_streams,
        reflection=settings.grpc_reflection,
        connections=settings.grpc_max_connections,
        connection_streams=settings.grpc_max_streams_per_connection,
        max_connection_idle=settings.grpc_max_connection_idle,
        shutdown_grace=settings.drain_timeout,
        keepalive_time=settings.grpc_keepalive_time,
        keepalive_timeout=settings.grpc_keepalive_timeout,
        max_connection_age=settings.grpc_max_connection_age,
        max_connection_age_grace=settings.grpc_max_connection_age_grace,
    )


def server_tls(settings: Settings) -> ServerTls | None:
    """Return the TLS of the server; None: it speaks plain text.

    Raises:
        ConfigurationError: A file cannot be read or is invalid, or something is missing.
    """
    if not settings.tls_cert_path and not settings.tls_key_path:
        if settings.tls_clients != "off" or settings.tls_client_ca_path:
            raise ConfigurationError(
                "clients are to show certificates, and the server has none: set INTENT_TLS_CERT_PATH and "
                "INTENT_TLS_KEY_PATH"
            )
        return None
    files = TlsFiles(settings.tls_cert_path, settings.tls_key_path, settings.tls_client_ca_path)
    return ServerTls(files, settings.tls_clients)
