"""What a process answers on its gRPC port before it can serve."""

from __future__ import annotations

from collections.abc import Callable

import grpc
from grpc_health.v1 import health, health_pb2

from intent.errors import Unavailable
from intent.service.listeners import Listeners
from intent.service.methods import refusing
from intent.service.public_services import PublicServices
from intent.service.settings import ServiceSettings

__all__ = ["StartingServer"]

_RETRY_MS = 1_000


class StartingServer(grpc.GenericRpcHandler):  # type: ignore[misc] # grpc has no types
    """Reports NOT_SERVING, and answers every call with UNAVAILABLE and the reason.

    Args:
        domain: The context.
        settings: Where to listen, and the limits.
        reason: Returns what the process waits for.
    """

    def __init__(self, domain: str, settings: ServiceSettings, reason: Callable[[], str]) -> None:
        self._domain = domain
        self._settings = settings
        self._reason = reason
        self._health = health.aio.HealthServicer()
        public = PublicServices(domain, self._health, (), settings.anonymous_streams, None)
        self._listeners = Listeners(
            1,
            settings.channel_arguments(),
            settings.accepted_calls,
            lambda server: server.add_generic_rpc_handlers((public, self)),
        )

    async def start(self) -> None:
        """Listen and answer.

        Raises:
            ConfigurationError: The port is taken, or the address does not belong to this machine.
        """
        for port in self._settings.ports():
            self._listeners.bind(self._settings.host, *port)
        await self._health.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
        await self._listeners.start()

    async def stop(self) -> None:
        """Leave the port to the server of the context."""
        await self._listeners.close_door()
        self._listeners.hang_up()
        await self._listeners.stop(None)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        """Return a handler that refuses, whatever the kind of the call."""
        error = Unavailable(
            "STARTING", f"this process is starting: {self._reason()}", retry_after_ms=_RETRY_MS
        )
        return refusing(error, self._domain)
