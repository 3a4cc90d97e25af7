"""Traces with OpenTelemetry; imported only when an endpoint is set."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Any, Final, TypeVar, cast

import grpc
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    Tracer,
    set_span_in_context,
)

from intent.origin import TraceContext
from intent.telemetry.interceptors import TracingInterceptor
from intent.telemetry.spans import CallSpan, CallTracer
from intent.telemetry.trace_contexts import context_of, trace_of

__all__ = ["OtelTracing", "current_traces"]

T = TypeVar("T")

_CLOSE: Final = 2.0
"""Seconds that the recorded spans may take to be sent when the process stops."""

_FAULTS: Final = {
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DATA_LOSS,
}
"""Statuses that mean the server failed; with any other it worked as intended."""

_current: ContextVar[Sequence[SpanContext]] = ContextVar("intent_current_spans", default=())
"""The spans, one per trace, in which the running task works."""


class OtelTracing:
    """Tracing that records; see `intent.telemetry.tracing.Tracing`."""

    enabled: bool = True

    def __init__(self, processor: SpanProcessor, *, service: str, ratio: float = 1.0) -> None:
        """Take the processor of finished spans.

        Args:
            processor: Receives the spans.
            service: The name of the process in traces.
            ratio: Share of traces to record when the caller has not decided, 0 to 1.
        """
        self._provider = TracerProvider(
            resource=Resource.create({"service.name": service}),
            sampler=ParentBased(TraceIdRatioBased(ratio)),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("intent")
        self.calls: CallTracer = _Calls(self._tracer)

    @classmethod
    def to_endpoint(cls, endpoint: str, *, service: str, ratio: float, http: bool = False) -> OtelTracing:
        """Return a tracing that sends to an OTLP endpoint in the background.

        Args:
            endpoint: The URL of the collector.
            service: The name of the process in traces.
            ratio: Share of traces to record when the caller has not decided, 0 to 1.
            http: Whether to speak HTTP with it instead of gRPC.
        """
        return cls(BatchSpanProcessor(_exporter(endpoint, http=http)), service=service, ratio=ratio)

    def step(
        self,
        name: str,
        parents: Iterable[TraceContext] | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> AbstractContextManager[None]:
        """Record the body as a step; see `Tracing.step`."""
        return self._step(name, _current.get() if parents is None else _sampled(parents), attributes)

    @contextmanager
    def _step(
        self, name: str, parents: Sequence[SpanContext], attributes: Mapping[str, Any] | None
    ) -> Iterator[None]:
        spans = [
            self._tracer.start_span(
                name, set_span_in_context(NonRecordingSpan(parent)), attributes=attributes
            )
            for parent in parents
        ]
        token = _current.set([span.get_span_context() for span in spans])
        try:
            yield
        except Exception as error:
            for span in spans:
                span.record_exception(error)
                span.set_status(StatusCode.ERROR, str(error))
            raise
        finally:
            _current.reset(token)
            for span in spans:
                span.end()

    def watch(self, target: T, system: str, *methods: str) -> T:
        """Return the target with a span around each call of the named methods."""
        return cast("T", _Watched(self, target, system, methods))

    def interceptors(self) -> list[Any]:
        """Return the interceptor for the Temporal client, whose workers use it too."""
        return [TracingInterceptor(self.step, current_traces)]

    def close(self) -> None:
        """Send the recorded spans and shut down, for two seconds at most.

        A collector that is silent holds an export for ten seconds and more, which nothing can cut short;
        its thread is left behind.
        """
        closing = threading.Thread(target=self._provider.shutdown, name="close tracing", daemon=True)
        closing.start()
        closing.join(_CLOSE)


def current_traces() -> list[TraceContext]:
    """Return the trace contexts of the spans in which the running task works."""
    return [trace_of(context) for context in _current.get()]


def _exporter(endpoint: str, *, http: bool) -> SpanExporter:
    if not http:
        return OTLPSpanExporter(endpoint=endpoint, insecure=not endpoint.startswith("https"))
    # Whoever speaks gRPC does not load an HTTP client.
    from opentelemetry.exporter.otlp.proto.http import trace_exporter

    return trace_exporter.OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")


def _sampled(traces: Iterable[TraceContext]) -> list[SpanContext]:
    contexts = (context_of(trace) for trace in dict.fromkeys(traces) if trace.parent)
    return [context for context in contexts if context is not None and context.trace_flags.sampled]


class _Watched:
    """A proxy that records the calls of some methods."""

    def __init__(self, tracing: OtelTracing, target: object, system: str, methods: Sequence[str]) -> None:
        self._target = target
        for name in methods:
            setattr(self, name, self._recorded(tracing, getattr(target, name), name, system))

    @staticmethod
    def _recorded(tracing: OtelTracing, method: Any, name: str, system: str) -> Any:
        facts = {"db.system.name": system, "db.operation.name": name}

        @functools.wraps(method)
        async def recorded(*args: Any, **kwargs: Any) -> Any:
            with tracing.step(name, attributes=facts):
                return await method(*args, **kwargs)

        return recorded

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target, name)


class _Calls:
    """Tracer of gRPC calls."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def start(self, method: str, trace: TraceContext) -> CallSpan:
        """Start the span of a call and make it the current one of its task."""
        service, _, name = method.lstrip("/").partition("/")
        parent = context_of(trace) if trace.parent else None
        span = self._tracer.start_span(
            method.lstrip("/"),
            None if parent is None else set_span_in_context(NonRecordingSpan(parent)),
            kind=SpanKind.SERVER,
            attributes={"rpc.system": "grpc", "rpc.service": service, "rpc.method": name},
        )
        return _Call(span)


class _Call:
    """The span of one call; see `CallSpan`."""

    __slots__ = ("_span", "trace")

    def __init__(self, span: Span) -> None:
        self._span = span
        context = span.get_span_context()
        self.trace = trace_of(context)
        # The call's task ends with the call, so there is nothing to reset.
        _current.set([context] if context.trace_flags.sampled else [])

    def caller(self, tenant: str, actor: str) -> None:
        """Record the caller."""
        self._span.set_attribute("intent.tenant", tenant)
        self._span.set_attribute("intent.actor", actor)

    def command(self, command_id: str, correlation_id: str) -> None:
        """Record the command that the call carries."""
        self._span.set_attribute("intent.command_id", command_id)
        self._span.set_attribute("intent.correlation_id", correlation_id)

    def finish(self, code: grpc.StatusCode, reason: str) -> None:
        """End the span."""
        self._span.set_attribute("rpc.grpc.status_code", code.value[0])
        if reason:
            self._span.set_attribute("error.type", reason)
        if code in _FAULTS:
            self._span.set_status(StatusCode.ERROR, reason)
        self._span.end()
