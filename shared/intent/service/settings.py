"""The settings of the gRPC server."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from intent.service.listeners import Credentials
from intent.tls import ServerTls

__all__ = ["ANSWER_BYTES", "ServiceSettings"]

_KIB = 1024

ANSWER_BYTES = 4 * 1024 * _KIB
"""The most bytes that an answer may have: what clients of gRPC accept unless they are told otherwise."""


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """How one context is served; times are in seconds.

    Attributes:
        host: The address to listen on.
        port: The port; 0 binds a free one.
        tls: What the server shows and asks for on its ports; None: it speaks plain text.
        certificate_port: The port for clients with certificates, where these are optional; 0 binds a free
            one.
        listeners: How many servers share the port; each accepts one call per round of the
            event loop.
        command_bytes: The most bytes that one command or query may have; beyond it the caller
            gets MESSAGE_TOO_LARGE.
        transport_bytes: The most bytes of a request that gRPC itself accepts; beyond it gRPC
            answers RESOURCE_EXHAUSTED before the platform sees the message.
        calls: How many calls may be under way at once, open streams included.
        tenant_calls: How many of them may be of one tenant.
        tenant_streams: How many streams (subscriptions, consumers' instances) one tenant may have open.
        caller_streams: How many streams one caller of a tenant may have open.
        anonymous_streams: How many streams may be open that need no identity (Watch of the health
            service, reflection).
        reflection: Whether the schemas of all methods are shown, to callers who say who they are.
        connections: How many connections may be open; beyond it new ones are closed at once.
        connection_streams: How many calls one connection may have under way; clients hold back
            further ones.
        min_position_wait: How long a query waits for its read model at most.
        event_roles: A caller of the Events service needs one of these; empty: any caller.
        operator_roles: A caller needs one of these for the Projections service, and to resume or
            cancel sagas.
        saga_roles: A caller needs one of these to read sagas.
        progress_every: How often a subscription reports its position while its filter matches
            nothing.
        health_interval: How often the probes run.
        health_timeout: How long a probe may take before it counts as failed.
        shutdown_grace: How long calls and commands under way may take to finish, in total, after a
            stop was requested.
        shutdown_delay: How long to keep accepting calls after health reports NOT_SERVING, so
            that load balancers notice.
        keepalive_time: After how long without traffic a connection is pinged.
        keepalive_timeout: How long the answer to a ping may take.
        max_connection_idle: After how long without a call a connection is closed; clients connect
            again with their next call.
        max_connection_age: After how long a client is asked to reconnect, so that clients spread
            over new servers; 0: never.
        max_connection_age_grace: How long its calls may take to finish then.
    """

    host: str = "127.0.0.1"
    port: int = 0
    tls: ServerTls | None = None
    certificate_port: int = 0
    listeners: int = 1
    command_bytes: int = 256 * 1024
    transport_bytes: int = 512 * _KIB
    calls: int = 5_000
    tenant_calls: int = 4_000
    tenant_streams: int = 3_000
    caller_streams: int = 500
    anonymous_streams: int = 500
    reflection: bool = True
    connections: int = 4_000
    connection_streams: int = 2_500
    min_position_wait: float = 5.0
    event_roles: frozenset[str] = frozenset({"service", "operator"})
    operator_roles: frozenset[str] = frozenset({"operator"})
    saga_roles: frozenset[str] = frozenset({"service", "operator"})
    progress_every: float = 5.0
    health_interval: float = 1.0
    health_timeout: float = 2.0
    shutdown_grace: float = 20.0
    shutdown_delay: float = 0.0
    keepalive_time: float = 60.0
    keepalive_timeout: float = 20.0
    max_connection_idle: float = 300.0
    max_connection_age: float = 0.0
    max_connection_age_grace: float = 30.0

    def ports(self) -> Iterator[tuple[int, Credentials | None]]:
        """Yield the ports to listen on, the main one first, each with the credentials of its TLS."""
        if self.tls is None:
            yield self.port, None
            return
        yield self.port, partial(self.tls.credentials, clients=self.tls.clients == "required")
        if self.tls.clients == "optional":
            yield self.certificate_port, partial(self.tls.credentials, clients=True)

    @property
    def accepted_calls(self) -> int:
        """How many calls gRPC accepts: enough that the platform refuses further ones in its own words.

        Calls whose message has not arrived yet count here alone.
        """
        return self.calls + self.anonymous_streams + 1_000

    def channel_arguments(self) -> list[tuple[str, int]]:
        """Return the arguments of the gRPC server."""
        arguments = [
            ("grpc.max_receive_message_length", self.transport_bytes),
            ("grpc.max_send_message_length", ANSWER_BYTES),
            ("grpc.max_concurrent_streams", self.connection_streams),
            # Each listener counts its own; the kernel spreads connections over them.
            ("grpc.max_allowed_incoming_connections", math.ceil(self.connections / self.listeners)),
            ("grpc.max_connection_idle_ms", _milliseconds(self.max_connection_idle)),
            ("grpc.keepalive_time_ms", _milliseconds(self.keepalive_time)),
            ("grpc.keepalive_timeout_ms", _milliseconds(self.keepalive_timeout)),
            # Clients may ping as often as every 10 s, also between calls.
            ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
            ("grpc.keepalive_permit_without_calls", 1),
        ]
        if self.max_connection_age > 0:
            arguments += [
                ("grpc.max_connection_age_ms", _milliseconds(self.max_connection_age)),
                ("grpc.max_connection_age_grace_ms", _milliseconds(self.max_connection_age_grace)),
            ]
        return arguments


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
