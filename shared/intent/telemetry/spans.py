"""The interface for traces and metrics of calls; it costs nothing while it is unused."""

from __future__ import annotations

from typing import Final, Protocol

import grpc

from intent.origin import NO_TRACE, TraceContext

__all__ = ["NO_SPAN", "CallSpan", "CallTracer", "NoTracer"]


class CallSpan(Protocol):
    """One call as a tracer sees it.

    Attributes:
        trace: The trace context to pass on to everything that the call causes.
    """

    trace: TraceContext

    def caller(self, tenant: str, actor: str) -> None:
        """Record the caller."""
        ...

    def command(self, command_id: str, correlation_id: str) -> None:
        """Record the command that the call carries."""
        ...

    def finish(self, code: grpc.StatusCode, reason: str) -> None:
        """End the span; must be called exactly once.

        Args:
            code: The status of the call.
            reason: The error's stable reason; empty when the call succeeded.
        """
        ...


class CallTracer(Protocol):
    """Starter of a span for each call; called in the call's own task, it must not raise."""

    def start(self, method: str, trace: TraceContext) -> CallSpan:
        """Start the span of a call.

        Args:
            method: The full name, e.g. ``/orders.v1.Orders/PlaceOrder``.
            trace: The caller's trace context, or `NO_TRACE`.
        """
        ...


class _NoSpan:
    """A span that records nothing and keeps only the caller's trace context."""

    __slots__ = ("trace",)

    def __init__(self, trace: TraceContext) -> None:
        self.trace = trace

    def caller(self, tenant: str, actor: str) -> None:
        """Do nothing."""

    def command(self, command_id: str, correlation_id: str) -> None:
        """Do nothing."""

    def finish(self, code: grpc.StatusCode, reason: str) -> None:
        """Do nothing."""


NO_SPAN: Final = _NoSpan(NO_TRACE)
"""The span of calls that belong to no trace."""


class NoTracer:
    """Tracer that records nothing and passes on the caller's trace context."""

    def start(self, method: str, trace: TraceContext) -> CallSpan:
        """Return a span that keeps only the caller's trace context."""
        return _NoSpan(trace) if trace.parent else NO_SPAN
