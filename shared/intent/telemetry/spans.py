"""The seam for traces and metrics of calls; nothing is paid for while it is unused."""

from __future__ import annotations

from typing import Final, Protocol

import grpc

__all__ = ["NO_SPAN", "CallSpan", "CallTracer", "NoTracer"]


class CallSpan(Protocol):
    """One call as a tracer sees it.

    Attributes:
        traceparent: The W3C traceparent that what follows from the call belongs to.
    """

    traceparent: str

    def caller(self, tenant: str, actor: str) -> None:
        """Tells on whose behalf the call is."""
        ...

    def command(self, command_id: str, correlation_id: str) -> None:
        """Tells which command the call carries."""
        ...

    def finish(self, code: grpc.StatusCode, reason: str) -> None:
        """Ends the span; called exactly once.

        Args:
            code: The status of the call.
            reason: The error's stable reason; empty when the call succeeded.
        """
        ...


class CallTracer(Protocol):
    """Starts a span for each call. It is called in the call's own task and must not raise."""

    def start(self, method: str, traceparent: str) -> CallSpan:
        """Starts the span of a call.

        Args:
            method: The full name, e.g. ``/orders.v1.Orders/PlaceOrder``.
            traceparent: The caller's, or empty.
        """
        ...


class _NoSpan:
    """Remembers nothing but the caller's trace."""

    __slots__ = ("traceparent",)

    def __init__(self, traceparent: str) -> None:
        self.traceparent = traceparent

    def caller(self, tenant: str, actor: str) -> None:
        """Does nothing."""

    def command(self, command_id: str, correlation_id: str) -> None:
        """Does nothing."""

    def finish(self, code: grpc.StatusCode, reason: str) -> None:
        """Does nothing."""


NO_SPAN: Final = _NoSpan("")
"""The span of every call that belongs to no trace."""


class NoTracer:
    """Records nothing; passes the caller's trace on."""

    def start(self, method: str, traceparent: str) -> CallSpan:
        """Returns a span that only knows the caller's trace."""
        return _NoSpan(traceparent) if traceparent else NO_SPAN
