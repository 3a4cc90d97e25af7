"""The gRPC server of one context."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import grpc

from intent.auditing import AuditDatabase, Auditor, MemoryAudit
from intent.background import Background
from intent.consumers import EVERY_TENANT, ConsumerServing
from intent.guarding import Guard
from intent.identity import IdentityProvider
from intent.model.reading import NarrowingReader
from intent.read_models.read_side import ReadSide
from intent.service.calls import AnyMethod, CallWrapper
from intent.service.health import HealthMonitor, Probe, store_probe
from intent.service.listeners import Listeners, address
from intent.service.methods import MethodTable, UnknownMethods, service_names
from intent.service.open_calls import OpenCalls
from intent.service.protocols import (
    CommandRouter,
    ProjectionOperator,
    SagaOperator,
    ServedContext,
)
from intent.service.public_services import PublicServices
from intent.service.servicers.access import listed
from intent.service.servicers.audit import AuditService
from intent.service.servicers.commands import CommandsService
from intent.service.servicers.consumers import ConsumersService
from intent.service.servicers.describe import describe
from intent.service.servicers.events import EventsService
from intent.service.servicers.projections import ProjectionsService
from intent.service.servicers.sagas import SagasService
from intent.service.settings import ServiceSettings
from intent.service.typed import TypedMethods
from intent.store.event_store import EventStore
from intent.telemetry.spans import CallTracer, NoTracer

__all__ = ["ContextServer", "ServiceParts"]

_log: Final = logging.getLogger("intent.service")
_SETTLING: Final = 0.05
"""Seconds in which calls that have arrived are refused, and health tells its watchers."""
_HANGING_UP: Final = 0.1
"""Seconds between two looks for connections without calls while a process stops."""


@dataclass(frozen=True, slots=True)
class ServiceParts:
    """The parts of a server.

    Attributes:
        context: The context, bound to its contracts.
        router: Routes the commands to their aggregates.
        store: The event store.
        reader: Reads the read models.
        read_side: Knows the positions of the projections.
        operator: Rebuilds projections and lets them skip events.
        sagas: Lists, resumes and cancels the sagas.
        identities: Identifies the callers.
        tracer: Starts a span per call.
        probes: Checks of what must make progress for the context to be ready, besides the store.
        consumers: Serves the consumers of other services; None: this server does not.
        guard: What the code of queries runs under.
        background: The tasks of the process.
        audit: Records refusals, and what operators do; None: in memory only.
        audited: Reads what is recorded; None: this server does not show it.
        clock: Returns the time, in seconds since 1970.
    """

    context: ServedContext
    router: CommandRouter
    store: EventStore
    reader: NarrowingReader
    read_side: ReadSide
    operator: ProjectionOperator
    sagas: SagaOperator
    identities: IdentityProvider
    tracer: CallTracer = field(default_factory=NoTracer)
    probes: Sequence[Probe] = ()
    consumers: ConsumerServing | None = None
    guard: Guard = field(default_factory=Guard)
    background: Background = field(default_factory=Background)
    audit: Auditor | None = None
    audited: AuditDatabase | None = None
    clock: Callable[[], float] = time.time


class ContextServer:
    """Serves one context over gRPC until it is stopped.

    Args:
        parts: Its parts.
        settings: The limits.
    """

    def __init__(self, parts: ServiceParts, settings: ServiceSettings | None = None) -> None:
        self._parts = parts
        self._settings = settings = settings or ServiceSettings()
        self._open = OpenCalls(settings)
        self.audit = parts.audit or Auditor(MemoryAudit(), parts.background)
        self._calls = CallWrapper(
            parts.context.name, parts.identities, self._open, self.audit, parts.tracer, parts.clock
        )
        self._events = EventsService(parts.context, parts.store, settings, parts.background)
        self._table = MethodTable(self._calls, listed(self._methods(), settings))
        self.services: Sequence[str] = service_names(self._table.names)
        self.health = HealthMonitor(
            self.services,
            [store_probe(parts.store), *parts.probes],
            interval=settings.health_interval,
            timeout=settings.health_timeout,
            background=parts.background,
        )
        self._public = PublicServices(
            parts.context.name,
            self.health.servicer,
            self.services,
            settings.anonymous_streams,
            parts.identities if settings.reflection else None,
            self.audit,
        )
        self._server: Listeners | None = None
        self.port = 0
        self.certificate_port = 0

    @property
    def target(self) -> str:
        """Where clients connect, once started."""
        return address(self._settings.host, self.port)

    @property
    def subscriptions(self) -> int:
        """How many subscriptions to events, and watched rebuilds, are open."""
        return self._open.endless

    async def start(self) -> None:
        """Listen and serve.

        Raises:
            ConfigurationError: The port is taken, or the address does not belong to this machine.
        """
        settings = self._settings
        server = Listeners(
            settings.listeners, settings.channel_arguments(), settings.accepted_calls, self._add_handlers
        )
        self.port, *others = [server.bind(settings.host, *port) for port in settings.ports()]
        self.certificate_port = others[0] if others else 0
        await self.health.start()
        await server.start()
        self._server = server
        _log.info("the context %s is served on %s%s", self._calls.domain, self.target, _spoken(settings))

    async def stop(self) -> None:
        """Report not ready, refuse new calls, then finish the calls and the commands under way.

        All of it takes at most the grace. Nothing that was accepted is lost; subscriptions end with
        UNAVAILABLE, so that their clients resume elsewhere.
        """
        server, self._server = self._server, None
        if server is None:
            return
        await self.health.stop()
        await asyncio.sleep(self._settings.shutdown_delay)
        clock = asyncio.get_running_loop().time
        end = clock() + self._settings.shutdown_grace
        self._open.close()
        if self._parts.consumers is not None:
            self._parts.consumers.close()
        await self._finish_calls(server, end)
        await self._open.end()
        await self._events.stop()
        await server.close_door()
        server.hang_up()
        await server.stop(None)
        self._parts.router.close()
        # Beside each other: a database that is unavailable holds both up.
        drained, _ = await asyncio.gather(
            self._parts.router.drain(max(0.0, end - clock())), self.audit.close()
        )
        if not drained:
            _log.warning("commands are still under way; Temporal continues them after the restart")

    async def wait(self) -> None:
        """Wait until the server has stopped."""
        if self._server is not None:
            await self._server.wait()

    def _methods(self) -> Iterator[AnyMethod]:
        parts, settings = self._parts, self._settings
        head = parts.store.position
        yield from TypedMethods(
            parts.context,
            parts.router,
            parts.reader,
            parts.read_side,
            head,
            parts.store.epochs,
            settings,
            parts.guard,
        ).methods()
        yield from CommandsService(parts.context, parts.router, settings, describe(parts.context)).methods()
        yield from self._events.methods()
        operators, audit = settings.operator_roles, self.audit
        yield from ProjectionsService(parts.operator, head, self._tenant_at, operators, audit).methods()
        if parts.consumers is not None:
            yield from ConsumersService(parts.context, parts.consumers, audit, self._tenant_at).methods()
        yield from SagasService(parts.sagas, settings.saga_roles, operators, audit).methods()
        if parts.audited is not None:
            yield from AuditService(parts.context.name, parts.audited, operators).methods()

    async def _tenant_at(self, position: int) -> str:
        """Return the tenant of the event at a position, or `EVERY_TENANT` when there is none."""
        entries = await self._parts.store.read_positions([position])
        return entries[0].tenant if entries else EVERY_TENANT

    def _add_handlers(self, server: grpc.aio.Server) -> None:
        domain = self._calls.domain
        server.add_generic_rpc_handlers(
            (self._table, self._public, UnknownMethods(domain, self._table.names))
        )

    async def _finish_calls(self, server: Listeners, end: float) -> None:
        """Wait until no call is under way, or until `end`; close the connections that have none.

        Calls of health and reflection never end by themselves and are not waited for. gRPC goes on
        listening meanwhile, since it would end what it has not passed on yet with CANCELLED.
        """
        clock = asyncio.get_running_loop().time
        idle = asyncio.create_task(self._open.idle(), name="calls-idle")
        try:
            await asyncio.sleep(_SETTLING)
            while not idle.done() and clock() < end:
                server.hang_up(self._open.peers())
                await asyncio.wait([idle], timeout=_HANGING_UP)
        finally:
            idle.cancel()


def _spoken(settings: ServiceSettings) -> str:
    if settings.tls is None:
        return ""
    asked = {"off": "", "optional": ", a port of its own for", "required": ", only for"}[settings.tls.clients]
    return f" with TLS{asked} clients with certificates" if asked else " with TLS"
