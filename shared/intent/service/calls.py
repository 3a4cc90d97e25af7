"""What every call has in common: identity, errors, traces. One wrapper, no interceptors.

The wrapper takes and returns bytes, so that a malformed message gets an answer like any other
(INVALID_ARGUMENT with details) and not a failure of gRPC.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias
from uuid import uuid4

import grpc
from google.protobuf.message import Message

from intent.contracts import parse, validate
from intent.contracts.validation import MESSAGE_LIMIT
from intent.errors import CommandError, DeadlineExceeded, HandlerFailed, InvalidCommand
from intent.service.identity import Identity, IdentityProvider, authorize, require_tenant
from intent.telemetry.spans import CallSpan, CallTracer, NoTracer
from intent.wire.metadata import COMMAND_ID, trace_context
from intent.wire.statuses import MESSAGE_BYTES as _MESSAGE_BYTES
from intent.wire.statuses import code_of, command_error, shortened, trailers_of

__all__ = ["AnyMethod", "BidiMethod", "Call", "CallWrapper", "Method", "StreamMethod", "read"]

_log: Final = logging.getLogger("intent.service")


class Call:
    """One call whose caller is known and allowed.

    Attributes:
        method: The full name of the method.
        metadata: The caller's metadata, as sent.
        identity: The caller.
        span: The call's span.
        rpc: gRPC's own context of the call.
        command_id: The id of the command that the call carries; the caller's or a generated one.
        trailers: The trailing metadata to send after the answer.
    """

    __slots__ = ("command_id", "identity", "metadata", "method", "rpc", "span", "trailers")

    def __init__(self, method: str, metadata: dict[str, str], rpc: Any, span: CallSpan) -> None:
        self.method = method
        self.metadata = metadata
        self.rpc = rpc
        self.span = span
        self.identity: Identity
        self.command_id = metadata.get(COMMAND_ID, "")
        self.trailers: tuple[tuple[str, str], ...] = ()

    def remaining(self) -> float | None:
        """Return how many seconds remain until the caller's deadline; None when it set none."""
        seconds: float | None = self.rpc.time_remaining()
        return seconds


Answer: TypeAlias = Callable[[bytes, Call], Awaitable[Message]]
Stream: TypeAlias = Callable[[bytes, Call], Awaitable[None]]
Talk: TypeAlias = Callable[[AsyncIterator[bytes], Call], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Method:
    """A method that answers one message with one.

    Attributes:
        name: The full name, e.g. ``/orders.v1.Orders/PlaceOrder``.
        answer: Takes the request's bytes; may raise any `CommandError`.
        roles: The caller needs one of these; empty: any caller.
        needs_tenant: False when the method touches no tenant's data.
    """

    name: str
    answer: Answer
    roles: frozenset[str] = frozenset()
    needs_tenant: bool = True


@dataclass(frozen=True, slots=True)
class StreamMethod:
    """A method that answers one message with many, which it writes to `Call.rpc` itself.

    Attributes:
        name: The full name.
        stream: Takes the request's bytes; may raise any `CommandError`.
        roles: The caller needs one of these; empty: any caller.
        needs_tenant: False when the method touches no tenant's data.
    """

    name: str
    stream: Stream
    roles: frozenset[str] = frozenset()
    needs_tenant: bool = True


@dataclass(frozen=True, slots=True)
class BidiMethod:
    """A method that answers many messages with many, which it writes to `Call.rpc` itself.

    Attributes:
        name: The full name.
        talk: Takes the bytes of the requests as they arrive; may raise any `CommandError`.
        roles: The caller needs one of these; empty: any caller.
        needs_tenant: False when the method touches no tenant's data, or checks the tenant itself.
    """

    name: str
    talk: Talk
    roles: frozenset[str] = frozenset()
    needs_tenant: bool = True


AnyMethod: TypeAlias = Method | StreamMethod | BidiMethod


def read(message: type[Any], data: bytes, limit: int = MESSAGE_LIMIT) -> Any:
    """Return the message that bytes encode, checked against its contract.

    Fields that the contract does not know are dropped: nothing has checked them, and a later
    release that gives their numbers a meaning would take them for checked.

    Raises:
        InvalidCommand: It has too many bytes, does not parse or breaks a rule.
    """
    if len(data) > limit:
        name = message.DESCRIPTOR.full_name
        raise InvalidCommand(
            "MESSAGE_TOO_LARGE",
            f"{name} has {len(data)} bytes, at most {limit} are allowed",
            metadata={"size": str(len(data)), "limit": str(limit)},
        )
    parsed = parse(message, data)
    parsed.DiscardUnknownFields()
    validate(parsed, limit=limit, data=data)
    return parsed


@dataclass(slots=True)
class CallWrapper:
    """Wraps methods into gRPC handlers.

    Attributes:
        domain: The context, which is the domain of its errors' reasons.
        identities: Identifies the caller.
        tracer: Starts a span per call.
        active: How many calls to unary methods are under way.
    """

    domain: str
    identities: IdentityProvider
    tracer: CallTracer = field(default_factory=NoTracer)
    active: int = 0
    _idle: asyncio.Event | None = None

    async def idle(self) -> None:
        """Wait until no call to a unary method is under way."""
        self._idle = asyncio.Event()
        if self.active:
            await self._idle.wait()

    def unary(self, method: Method) -> grpc.RpcMethodHandler:
        """Return the handler of a method that answers with one message."""

        async def serve(data: bytes, rpc: Any) -> bytes:
            call = self._begin(method, rpc)
            self.active += 1
            try:
                await self._admit(method, call)
                answer = await method.answer(data, call)
                response = answer.SerializeToString()
            except asyncio.CancelledError:
                _finish_abandoned(call)
                raise
            except Exception as error:
                data = b""
                await self._fail(call, error)
                raise
            else:
                if call.trailers:
                    rpc.set_trailing_metadata(call.trailers)
                call.span.finish(grpc.StatusCode.OK, "")
                return response
            finally:
                self.active -= 1
                if self._idle is not None and not self.active:
                    self._idle.set()

        return grpc.unary_unary_rpc_method_handler(serve)

    def streaming(self, method: StreamMethod) -> grpc.RpcMethodHandler:
        """Return the handler of a method that answers with many messages."""

        async def serve(data: bytes, rpc: Any) -> None:
            try:
                await self._talk(method, rpc, lambda call: method.stream(data, call))
            finally:
                data = b""

        return grpc.unary_stream_rpc_method_handler(serve)

    def bidirectional(self, method: BidiMethod) -> grpc.RpcMethodHandler:
        """Return the handler of a method that takes and answers many messages."""

        async def serve(requests: AsyncIterator[bytes], rpc: Any) -> None:
            await self._talk(method, rpc, lambda call: method.talk(requests, call))

        return grpc.stream_stream_rpc_method_handler(serve)

    async def _talk(self, method: AnyMethod, rpc: Any, talk: Callable[[Call], Awaitable[None]]) -> None:
        call = self._begin(method, rpc)
        try:
            await self._admit(method, call)
            await talk(call)
        except asyncio.CancelledError:
            _finish_abandoned(call)
            raise
        except Exception as error:
            await self._fail(call, error)
        else:
            call.span.finish(grpc.StatusCode.OK, "")

    def _begin(self, method: AnyMethod, rpc: Any) -> Call:
        pairs = rpc.invocation_metadata()
        return Call(method.name, dict(pairs), rpc, self.tracer.start(method.name, trace_context(pairs)))

    async def _admit(self, method: AnyMethod, call: Call) -> None:
        remaining = call.remaining()
        if remaining is not None and remaining <= 0:
            raise DeadlineExceeded("DEADLINE_EXCEEDED", "the deadline had passed when the call arrived")
        identity = await self.identities.authenticate(call.metadata)
        if method.needs_tenant:
            require_tenant(identity)
        authorize(identity, method.roles, method.name)
        call.identity = identity
        call.span.caller(identity.tenant, identity.actor)

    async def _fail(self, call: Call, error: Exception) -> None:
        """Abort the call with an error, by raising."""
        public = command_error(error) or self._defect(call, error)
        code = code_of(public)
        call.span.finish(code, public.reason)
        trailers: tuple[tuple[str, str | bytes], ...] = trailers_of(public, self.domain)
        if call.command_id:
            trailers = (*trailers, (COMMAND_ID, call.command_id))
        _forget_frames(error)
        await call.rpc.abort(code, shortened(public.message, _MESSAGE_BYTES), trailers)

    def _defect(self, call: Call, error: Exception) -> CommandError:
        """Log a defect and return the error for the caller, which contains only an id."""
        error_id = uuid4().hex
        _log.error(
            "a call failed because of a defect: %s, error id %s",
            call.method,
            error_id,
            exc_info=error,
            extra={
                "error_id": error_id,
                "method": call.method,
                "tenant": call.metadata.get("x-tenant-id", ""),
                "command_id": call.command_id,
            },
        )
        return HandlerFailed(
            "INTERNAL",
            f"the service failed because of a defect; its log has the details under error id {error_id}",
            metadata={"error_id": error_id},
        )


def _forget_frames(error: BaseException) -> None:
    """Drop the frames that an error and its causes hold on to, and with them the request's bytes.

    gRPC keeps the error that ends a call in the call's own state: a cycle, which only the garbage
    collector ends. It counts objects and not bytes, so that a few hundred refused calls would
    hold gigabytes.
    """
    seen: set[int] = set()
    pending: list[BaseException | None] = [error]
    while pending:
        current = pending.pop()
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        pending += [current.__cause__, current.__context__]
        current.__traceback__ = current.__context__ = None


def _finish_abandoned(call: Call) -> None:
    """End the span of a call that its caller has cancelled or whose deadline has passed."""
    remaining = call.remaining()
    late = remaining is not None and remaining <= 0
    code = grpc.StatusCode.DEADLINE_EXCEEDED if late else grpc.StatusCode.CANCELLED
    call.span.finish(code, code.name)
