"""Calls over one channel on behalf of one caller."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

import grpc
from google.protobuf.message import Message

from intent.client.callers import Caller, Pairs
from intent.client.channel import Channel
from intent.client.retries import LEAST_WAIT, RetryPolicy, platform_error, retrying
from intent.origin import TraceContext
from intent.wire.metadata import TRACEPARENT, TRACESTATE

__all__ = ["DEFAULT_TIMEOUT", "Connection", "Stream"]

Response = TypeVar("Response", bound=Message)

DEFAULT_TIMEOUT: Final = 30.0
"""Seconds that a call may take in total by default."""


@dataclass(frozen=True, slots=True)
class Stream:
    """A call that takes or answers many messages.

    Attributes:
        call: What gRPC returns for it.
        authorization: The value of the metadata ``authorization`` with which it was made.
    """

    call: Any
    authorization: str


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

        A call whose token has expired is repeated once with another one.

        Args:
            method: The full name, e.g. ``/orders.v1.Orders/PlaceOrder``.
            request: The request.
            response: The class of the answer.
            metadata: What to send besides the caller.
            timeout: Seconds in total; None: the connection's.

        Raises:
            CommandError: The server's error, or that it did not answer in time, or there is no token.
        """
        caller, clock = self.caller, asyncio.get_running_loop().time
        more = (*metadata, *_trace_pairs(self.trace()))

        async def once(authorization: str, end: float) -> Response:
            send = self.channel.callable("unary_unary", method, response)
            pairs = (*caller.metadata(authorization), *more)
            answer: Response = await send(request, timeout=max(LEAST_WAIT, end - clock()), metadata=pairs)
            return answer

        async def attempt(left: float) -> Response:
            end = clock() + left
            used = await caller.authorization(left)
            try:
                return await once(used, end)
            except grpc.aio.AioRpcError as error:
                other = await caller.renewed(platform_error(error), used, max(LEAST_WAIT, end - clock()))
                if not other:
                    raise
            return await once(other, end)

        return await retrying(attempt, self.timeout if timeout is None else timeout, self.policy, method)

    async def stream(self, method: str, request: Message, response: type[Response]) -> Stream:
        """Call a method that answers with many messages; iterate over the call.

        Raises:
            CommandError: There is no token.
        """
        authorization, metadata = await self._metadata()
        call = self.channel.callable("unary_stream", method, response)(request, metadata=metadata)
        return Stream(call, authorization)

    async def talk(self, method: str, response: type[Response]) -> Stream:
        """Call a method that takes and answers many messages; write to the call and read from it.

        Raises:
            CommandError: There is no token.
        """
        authorization, metadata = await self._metadata()
        return Stream(
            self.channel.callable("stream_stream", method, response)(metadata=metadata), authorization
        )

    async def _metadata(self) -> tuple[str, Pairs]:
        authorization = await self.caller.authorization()
        return authorization, (*self.caller.metadata(authorization), *_trace_pairs(self.trace()))


def _trace_pairs(trace: TraceContext) -> Pairs:
    if not trace.parent:
        return ()
    parent = (TRACEPARENT, trace.parent)
    return (parent, (TRACESTATE, trace.state)) if trace.state else (parent,)
