"""Calls over one channel on behalf of one caller."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias, TypeVar

from google.protobuf.message import Message

from intent.client.channel import Channel
from intent.client.retries import RetryPolicy, retrying
from intent.origin import TraceContext
from intent.wire.metadata import TRACEPARENT, TRACESTATE

__all__ = ["Caller", "Connection", "Pairs"]

Response = TypeVar("Response", bound=Message)

DEFAULT_TIMEOUT: Final = 30.0
"""Seconds that a call may take in total by default."""

Pairs: TypeAlias = tuple[tuple[str, str], ...]
"""Metadata of a call."""


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller on whose behalf calls are made.

    Attributes:
        tenant: The tenant.
        actor: Who calls, e.g. ``user:ann``; None: the server's default.
        roles: What it may do; None: the server's default.
        token: The value of the metadata ``authorization``, when there is one.
    """

    tenant: str = ""
    actor: str | None = None
    roles: tuple[str, ...] | None = None
    token: str | None = None

    def metadata(self) -> Pairs:
        """Return the metadata that identifies the caller to the server."""
        pairs = {
            "x-tenant-id": self.tenant or None,
            "x-actor": self.actor,
            "x-roles": None if self.roles is None else ",".join(self.roles),
            "authorization": self.token,
        }
        return tuple((key, value) for key, value in pairs.items() if value is not None)


@dataclass(frozen=True, slots=True)
class Connection:
    """A channel, a caller and how calls are retried.

    Attributes:
        channel: The channel.
        caller: The caller on whose behalf calls are made.
        policy: When to retry.
        timeout: Seconds that a call may take in total unless it says otherwise.
        trace: Returns the caller's trace context, or `NO_TRACE`.
    """

    channel: Channel
    caller: Caller
    policy: RetryPolicy
    timeout: float
    trace: Callable[[], TraceContext]

    def acting(self, caller: Caller) -> Connection:
        """Return a connection over the same channel on behalf of another caller."""
        return replace(self, caller=caller)

    def within(self, trace: TraceContext) -> Connection:
        """Return a connection over the same channel whose calls belong to a trace, if to no other."""

        def current() -> TraceContext:
            own = self.trace()
            return own if own.parent else trace

        return replace(self, trace=current)

    def metadata(self, extra: Pairs = ()) -> Pairs:
        """Return the metadata of a call."""
        return (*self.caller.metadata(), *extra, *_trace_pairs(self.trace()))

    async def call(
        self,
        method: str,
        request: Message,
        response: type[Response],
        *,
        metadata: Pairs = (),
        timeout: float | None = None,
    ) -> Response:
        """Call a method that answers with one message, retrying as `retrying` does.

        Args:
            method: The full name, e.g. ``/orders.v1.Orders/PlaceOrder``.
            request: The request.
            response: The class of the answer.
            metadata: What to send besides the caller.
            timeout: Seconds in total; None: the connection's.

        Raises:
            CommandError: The server's error, or that it did not answer in time.
        """
        send = self.channel.callable("unary_unary", method, response)
        pairs = self.metadata(metadata)

        async def attempt(left: float) -> Response:
            answer: Response = await send(request, timeout=left, metadata=pairs)
            return answer

        return await retrying(attempt, self.timeout if timeout is None else timeout, self.policy, method)

    def stream(self, method: str, request: Message, response: type[Response]) -> Any:
        """Call a method that answers with many messages; iterate over what it returns."""
        return self.channel.callable("unary_stream", method, response)(request, metadata=self.metadata())

    def talk(self, method: str, response: type[Response]) -> Any:
        """Call a method that takes and answers many messages; write to and read from what it returns."""
        return self.channel.callable("stream_stream", method, response)(metadata=self.metadata())


def _trace_pairs(trace: TraceContext) -> Pairs:
    if not trace.parent:
        return ()
    parent = (TRACEPARENT, trace.parent)
    return (parent, (TRACESTATE, trace.state)) if trace.state else (parent,)
