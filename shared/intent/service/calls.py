"""What every call has in common: identity, errors, traces. One wrapper, no interceptors.

The wrapper takes and returns bytes, so that a malformed message gets an answer like any other
(INVALID_ARGUMENT with details) and not a failure of gRPC.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TypeAlias
from uuid import uuid4

import grpc
from google.protobuf.message import Message

from intent.auditing import Auditor
from intent.contracts import parse, validate
from intent.contracts.validation import MESSAGE_LIMIT, too_large
from intent.errors import CommandError, DeadlineExceeded, HandlerFailed, Rejected
from intent.guarding import Poison
from intent.identity import Identity, IdentityProvider, authorize, require_every_tenant, require_tenant
from intent.service.expiry import until_expiry
from intent.service.open_calls import OpenCalls
from intent.service.requests import refusal_entry
from intent.service.settings import ANSWER_BYTES
from intent.telemetry.spans import CallSpan, CallTracer, NoTracer
from intent.tls import spiffe_id
from intent.wire.metadata import COMMAND_ID, require_single, trace_context
from intent.wire.statuses import ANSWER_TOO_LARGE, code_of, command_error, shortened, trailers_of
from intent.wire.statuses import MESSAGE_BYTES as _MESSAGE_BYTES

__all__ = ["AnyMethod", "BidiMethod", "Call", "CallWrapper", "Method", "StreamMethod", "read"]

_log: Final = logging.getLogger("intent.service")
_REFUSALS: Final = frozenset({grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED})
"""What says that the caller lacks a right, unless the call was accepted before its token expired."""


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
        caller: The caller once it is known, allowed or not.
        admitted: The caller once the call counts towards its limits.
        repeats: Whether the caller sent a key of the metadata more than once.
    """

    __slots__ = (
        "admitted",
        "caller",
        "command_id",
        "identity",
        "metadata",
        "method",
        "repeats",
        "rpc",
        "span",
        "trailers",
    )

    def __init__(self, method: str, metadata: dict[str, str], rpc: Any, span: CallSpan) -> None:
        self.method = method
        self.metadata = metadata
        self.rpc = rpc
        self.span = span
        self.identity: Identity
        self.caller: Identity | None = None
        self.admitted: Identity | None = None
        self.repeats = False
        self.command_id = metadata.get(COMMAND_ID, "")
        self.trailers: tuple[tuple[str, str], ...] = ()

    def remaining(self) -> float | None:
        """Return how many seconds remain until the caller's deadline; None when it set none."""
        seconds: float | None = self.rpc.time_remaining()
        return seconds

    async def write(self, data: bytes) -> None:
        """Send one of several answers.

        One that has begun goes on when whoever sends it is cancelled, for gRPC still works on it then.
        """
        writing = asyncio.ensure_future(self.rpc.write(data))
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:
            # The caller may be gone, and nobody else is there to be told.
            writing.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
            raise


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
        needs_tenant: False when the method does not act for one tenant.
        every_tenant: True when it concerns every tenant, so that no caller may who is bound to some.
    """

    name: str
    answer: Answer
    roles: frozenset[str] = frozenset()
    needs_tenant: bool = True
    every_tenant: bool = False


@dataclass(frozen=True, slots=True)
class StreamMethod:
    """A method that answers one message with many, which it writes to `Call.rpc` itself.

    Attributes:
        name: The full name.
        stream: Takes the request's bytes; may raise any `CommandError`.
        roles: The caller needs one of these; empty: any caller.
        needs_tenant: False when the method does not act for one tenant.
        every_tenant: True when it concerns every tenant, so that no caller may who is bound to some.
    """

    name: str
    stream: Stream
    roles: frozenset[str] = frozenset()
    needs_tenant: bool = True
    every_tenant: bool = False


@dataclass(frozen=True, slots=True)
class BidiMethod:
    """A method that answers many messages with many, which it writes to `Call.rpc` itself.

    Attributes:
        name: The full name.
        talk: Takes the bytes of the requests as they arrive; may raise any `CommandError`.
        roles: The caller needs one of these; empty: any caller.
        needs_tenant: False when the method does not act for one tenant, or checks the tenant itself.
        every_tenant: True when it concerns every tenant, so that no caller may who is bound to some.
    """

    name: str
    talk: Talk
    roles: frozenset[str] = frozenset()
    needs_tenant: bool = True
    every_tenant: bool = False


AnyMethod: TypeAlias = Method | StreamMethod | BidiMethod


def read(message: type[Any], data: bytes, limit: int = MESSAGE_LIMIT) -> Any:
    """Return the message that bytes encode, checked against its contract.

    Fields that the contract does not know are dropped: nothing has checked them, and a later
    release that gives their numbers a meaning would take them for checked.

    Raises:
        InvalidCommand: It has too many bytes, does not parse or breaks a rule.
    """
    if len(data) > limit:
        raise too_large(message, len(data), limit)
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
        open: The calls under way, and how many there may be.
        audit: Records refusals.
        tracer: Starts a span per call.
        clock: Returns the time, in seconds since 1970, to which the end of tokens refers.
    """

    domain: str
    identities: IdentityProvider
    open: OpenCalls
    audit: Auditor
    tracer: CallTracer = field(default_factory=NoTracer)
    clock: Callable[[], float] = time.time

    def unary(self, method: Method) -> grpc.RpcMethodHandler:
        """Return the handler of a method that answers with one message."""

        async def serve(data: bytes, rpc: Any) -> bytes:
            call = self._begin(method, rpc)
            try:
                await self._admit(method, call, stream=False)
                answer = await method.answer(data, call)
                response = answer.SerializeToString()
                if len(response) > ANSWER_BYTES:
                    raise _answer_too_large(len(response))
            except (Exception, asyncio.CancelledError) as error:
                data = b""
                await self._fail(call, error)
                raise
            else:
                if call.trailers:
                    rpc.set_trailing_metadata(call.trailers)
                call.span.finish(grpc.StatusCode.OK, "")
                return response
            finally:
                self._leave(call, stream=False)

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
        call = self._begin(method, rpc, endless=isinstance(method, StreamMethod))
        try:
            await self._admit(method, call, stream=True)
            # Now, and not with the first answer: gRPC cannot abort a call while that one is under way.
            await rpc.send_initial_metadata(())
            async with until_expiry(call.identity, self.clock):
                await talk(call)
        except (Exception, asyncio.CancelledError) as error:
            await self._fail(call, error)
            raise
        else:
            call.span.finish(grpc.StatusCode.OK, "")
        finally:
            self._leave(call, stream=True)

    def _begin(self, method: AnyMethod, rpc: Any, *, endless: bool = False) -> Call:
        pairs = rpc.invocation_metadata()
        call = Call(method.name, dict(pairs), rpc, self.tracer.start(method.name, trace_context(pairs)))
        call.repeats = len(call.metadata) < len(pairs)
        self.open.start(rpc, endless=endless)
        return call

    def _leave(self, call: Call, *, stream: bool) -> None:
        if call.admitted is not None:
            self.open.leave(call.admitted, stream=stream)

    async def _admit(self, method: AnyMethod, call: Call, *, stream: bool) -> None:
        remaining = call.remaining()
        if remaining is not None and remaining <= 0:
            raise DeadlineExceeded("DEADLINE_EXCEEDED", "the deadline had passed when the call arrived")
        if call.repeats:
            require_single(call.rpc.invocation_metadata())
        identity = await self.identities.authenticate(call.metadata, partial(spiffe_id, call.rpc))
        call.caller = identity
        if method.needs_tenant:
            require_tenant(identity)
        authorize(identity, method.roles, method.name)
        if method.every_tenant:
            require_every_tenant(identity, method.name)
        self.open.admit(identity, stream=stream)
        call.identity = call.admitted = identity
        call.span.caller(identity.tenant, identity.actor)

    async def _fail(self, call: Call, error: Exception | asyncio.CancelledError) -> None:
        """Abort the call with an error, by raising; return when its caller has left."""
        if isinstance(error, grpc.aio.InternalError):
            # The connection has broken, so nothing can be sent; gRPC logs a traceback of any other error.
            _finish_abandoned(call)
            raise asyncio.CancelledError from None
        if isinstance(error, Exception):
            public = command_error(error) or self._defect(call, error)
        elif (interruption := self.open.interruption()) is not None:
            public = interruption
        else:
            _finish_abandoned(call)
            return
        code = code_of(public)
        call.span.finish(code, public.reason)
        if code in _REFUSALS and "accepted" not in public.metadata:
            peer = call.rpc.peer()
            entry = refusal_entry(call.method, call.metadata, peer, call.caller, public)
            self.audit.refused(entry, known=call.caller is not None)
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
        because = f": {error}" if isinstance(error, Poison) else ""
        return HandlerFailed(
            "INTERNAL",
            f"the service failed because of a defect{because}; "
            f"its log has the details under error id {error_id}",
            metadata={"error_id": error_id},
        )


def _answer_too_large(size: int) -> Rejected:
    return Rejected(
        ANSWER_TOO_LARGE,
        f"the answer has {size} bytes, at most {ANSWER_BYTES} can be sent; ask for less at once, "
        "e.g. with a smaller page",
        metadata={"size": str(size), "limit": str(ANSWER_BYTES)},
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
