"""The services of gRPC itself: health, which callers need no identity for, and reflection.

gRPC's own handlers of them decode requests where nothing of the platform sees it. Here they get
bytes, so that a malformed request is an INVALID_ARGUMENT and not a traceback in the log, and so
that the number of open streams is bounded although nobody knows who opened them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from functools import partial
from typing import Any, Final

import grpc
from google.protobuf.message import DecodeError
from grpc_health.v1 import health_pb2_grpc
from grpc_health.v1.health import SERVICE_NAME as HEALTH
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from intent.auditing import Auditor
from intent.errors import CommandError, InvalidCommand, PermissionDenied, Unauthenticated
from intent.identity import IdentityProvider
from intent.service.open_calls import too_many
from intent.service.requests import refusal_entry
from intent.tls import spiffe_id
from intent.wire.metadata import require_single
from intent.wire.statuses import code_of, trailers_of

__all__ = ["PublicServices"]

_REFLECTION: Final = reflection.SERVICE_NAME
_LATER_REFLECTION: Final = _REFLECTION.replace("v1alpha", "v1")
"""Its messages are the same as those of v1alpha, for which alone grpcio-reflection has code."""
_NOT_SERVED: Final = frozenset({f"/{HEALTH}/List"})
"""What gRPC's asyncio code declares and does not implement."""
_REQUEST_BYTES: Final = 4096
_RETRY_MS: Final = 5_000


class PublicServices(grpc.GenericRpcHandler):  # type: ignore[misc] # grpc has no types
    """Serves health, and reflection to callers who say who they are.

    Args:
        domain: The context, which is the domain of its errors' reasons.
        health: The servicer of the health service.
        services: The services that reflection lists besides these, by full name.
        streams: How many streams may be open at once.
        callers: Identifies who asks for reflection; None: it is not served.
        audit: Records who is refused it; None: nobody is.
    """

    def __init__(
        self,
        domain: str,
        health: Any,
        services: Iterable[str],
        streams: int,
        callers: IdentityProvider | None,
        audit: Auditor | None = None,
    ) -> None:
        self._domain = domain
        self._callers = callers
        self._audit = audit
        self._limit = streams
        self._open = 0
        known = _Recorder()
        health_pb2_grpc.add_HealthServicer_to_server(health, known)
        if callers is not None:
            names = (*services, HEALTH, _REFLECTION)
            reflection_pb2_grpc.add_ServerReflectionServicer_to_server(
                reflection.aio.ReflectionServicer(names), known
            )
        for method, handler in list(known.handlers.items()):
            known.handlers[method.replace(_REFLECTION, _LATER_REFLECTION)] = handler
        self._handlers = {
            name: self._guarded(handler)
            for name, handler in known.handlers.items()
            if name not in _NOT_SERVED
        }

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        """Return the handler of a method, or None."""
        return self._handlers.get(handler_call_details.method)

    def _guarded(self, handler: grpc.RpcMethodHandler) -> grpc.RpcMethodHandler:
        """Return a handler that decodes and counts by itself what another one answers."""
        decode, encode = handler.request_deserializer, handler.response_serializer

        async def answer(data: bytes, rpc: Any) -> Any:
            return await handler.unary_unary(await self._decoded(decode, data, rpc), rpc)

        async def watch(data: bytes, rpc: Any) -> None:
            await self._enter(rpc)
            try:
                await handler.unary_stream(await self._decoded(decode, data, rpc), rpc)
            finally:
                self._open -= 1

        async def talk(requests: AsyncIterator[bytes], rpc: Any) -> None:
            async def decoded() -> AsyncIterator[Any]:
                async for data in requests:
                    yield await self._decoded(decode, data, rpc)

            await self._identify(rpc)
            await self._enter(rpc)
            try:
                async for response in handler.stream_stream(decoded(), rpc):
                    await rpc.write(response)
            finally:
                self._open -= 1

        if handler.unary_unary is not None:
            return grpc.unary_unary_rpc_method_handler(answer, response_serializer=encode)
        if handler.unary_stream is not None:
            return grpc.unary_stream_rpc_method_handler(watch, response_serializer=encode)
        return grpc.stream_stream_rpc_method_handler(talk, response_serializer=encode)

    async def _identify(self, rpc: Any) -> None:
        """Refuse a stream of reflection whose caller does not say who it is."""
        pairs = rpc.invocation_metadata()
        try:
            require_single(pairs)
            if self._callers is not None:
                await self._callers.authenticate(dict(pairs), partial(spiffe_id, rpc))
        except CommandError as error:
            if self._audit is not None and isinstance(error, PermissionDenied | Unauthenticated):
                method = f"/{_REFLECTION}/ServerReflectionInfo"
                entry = refusal_entry(method, dict(pairs), rpc.peer(), None, error)
                self._audit.refused(entry, known=False)
            await self._refuse(rpc, error)

    async def _enter(self, rpc: Any) -> None:
        if self._open >= self._limit:
            what = (
                f"this process has {self._limit} streams of health and reflection open and takes no more "
                "at once; call Check instead of Watch, or try again later"
            )
            await self._refuse(rpc, too_many("TOO_MANY_STREAMS", what, self._limit, _RETRY_MS))
        self._open += 1

    async def _decoded(self, decode: Callable[[bytes], Any], data: bytes, rpc: Any) -> Any:
        if len(data) > _REQUEST_BYTES:
            what = f"the request has {len(data)} bytes, at most {_REQUEST_BYTES} are allowed"
            await self._refuse(rpc, InvalidCommand("MESSAGE_TOO_LARGE", what))
        try:
            return decode(data)
        except DecodeError:
            await self._refuse(rpc, InvalidCommand("MALFORMED_MESSAGE", "the bytes are no request"))

    async def _refuse(self, rpc: Any, error: CommandError) -> None:
        await rpc.abort(code_of(error), error.message, trailers_of(error, self._domain))


class _Recorder:
    """Stands for a server to which the generated code adds the methods of a service."""

    def __init__(self) -> None:
        self.handlers: dict[str, grpc.RpcMethodHandler] = {}

    def add_generic_rpc_handlers(self, handlers: Any) -> None:
        """Take no notice: the same methods come as registered ones."""

    def add_registered_method_handlers(
        self, service: str, handlers: Mapping[str, grpc.RpcMethodHandler]
    ) -> None:
        self.handlers |= {f"/{service}/{method}": handler for method, handler in handlers.items()}
