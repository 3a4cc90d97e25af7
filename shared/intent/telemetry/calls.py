"""Observation of gRPC calls: metrics of each, its ids for the logs, and its span."""

from __future__ import annotations

from collections.abc import Mapping
from time import perf_counter

import grpc

from intent.origin import TraceContext
from intent.telemetry.logs import current_call, trace_ids
from intent.telemetry.metrics import Metrics
from intent.telemetry.spans import CallSpan, CallTracer

__all__ = ["CallObserver"]


class CallObserver:
    """Observer that counts calls and adds their ids to the log lines written during them.

    Args:
        metrics: Where calls are counted.
        tracer: Starts the span of each call.
    """

    def __init__(self, metrics: Metrics, tracer: CallTracer) -> None:
        self._metrics = metrics
        self._tracer = tracer

    def start(self, method: str, trace: TraceContext) -> CallSpan:
        """Start observing a call; must run in the call's own task."""
        call = _Call(method, self._tracer.start(method, trace), self._metrics)
        current_call.set(call)
        return call


class _Call:
    """One call; see `CallSpan`."""

    __slots__ = (
        "_actor",
        "_command_id",
        "_correlation_id",
        "_method",
        "_metrics",
        "_span",
        "_started",
        "_tenant",
        "trace",
    )

    def __init__(self, method: str, span: CallSpan, metrics: Metrics) -> None:
        self._method = method
        self._span = span
        self._metrics = metrics
        self._started = perf_counter()
        self._tenant = self._actor = self._command_id = self._correlation_id = ""
        self.trace = span.trace

    def caller(self, tenant: str, actor: str) -> None:
        """Record the caller."""
        self._tenant, self._actor = tenant, actor
        self._span.caller(tenant, actor)

    def command(self, command_id: str, correlation_id: str) -> None:
        """Record the command that the call carries."""
        self._command_id, self._correlation_id = command_id, correlation_id
        self._span.command(command_id, correlation_id)

    def finish(self, code: grpc.StatusCode, reason: str) -> None:
        """Count the call and end its span."""
        self._metrics.call_finished(self._method, code.name, reason, perf_counter() - self._started)
        self._span.finish(code, reason)

    def log_fields(self) -> Mapping[str, str]:
        """Return the ids that are known."""
        fields = {
            "method": self._method,
            "tenant": self._tenant,
            "actor": self._actor,
            "command_id": self._command_id,
            "correlation_id": self._correlation_id,
            **trace_ids(self.trace.parent),
        }
        return {name: value for name, value in fields.items() if value}
