"""Traces: from the caller's call through workflow and activities to SQL, as one trace.

Without an endpoint, OpenTelemetry's SDK is not imported and nothing is recorded; the trace
context of a caller is passed on all the same. A batch carries commands of many traces,
so each step of a batch is recorded once in each of their sampled traces. Only the server and
activities create spans, never workflow code, so that a replay creates none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final, Protocol, TypeVar

from intent.origin import TraceContext
from intent.settings.config import Settings
from intent.telemetry.spans import CallTracer, NoTracer

__all__ = ["NoTracing", "Tracing", "setup_tracing"]

T = TypeVar("T")

_NOTHING: Final = nullcontext()


class Tracing(Protocol):
    """The recording of traces.

    Attributes:
        enabled: False when nothing is recorded.
        calls: Starts the span of each gRPC call.
    """

    enabled: bool
    calls: CallTracer

    def step(
        self,
        name: str,
        parents: Iterable[TraceContext] | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> AbstractContextManager[None]:
        """Record the body as a span in each sampled trace to which it belongs.

        Args:
            name: The name of the step, e.g. ``append``.
            parents: The trace contexts of its parents; None: the enclosing step's spans.
            attributes: Attributes of the span.
        """
        ...

    def watch(self, target: T, system: str, *methods: str) -> T:
        """Return the target with a span around each call of the named methods.

        Args:
            target: Any object.
            system: The system that it calls, e.g. ``postgresql``.
            methods: Names of its coroutine methods.
        """
        ...

    def interceptors(self) -> list[Any]:
        """Return the interceptors for the Temporal client, whose workers use them too."""
        ...

    def close(self) -> None:
        """Send the recorded spans and shut down; blocks for two seconds at most."""
        ...


class NoTracing:
    """Tracing that records nothing and costs nothing."""

    enabled: bool = False

    def __init__(self) -> None:
        self.calls: CallTracer = NoTracer()

    def step(
        self,
        name: str,
        parents: Iterable[TraceContext] | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> AbstractContextManager[None]:
        """Do nothing."""
        return _NOTHING

    def watch(self, target: T, system: str, *methods: str) -> T:
        """Return the target itself."""
        return target

    def interceptors(self) -> list[Any]:
        """Return no interceptors."""
        return []

    def close(self) -> None:
        """Do nothing."""


def setup_tracing(settings: Settings) -> Tracing:
    """Return the tracing for the settings; without an endpoint, one that records nothing."""
    if not settings.otlp_endpoint:
        return NoTracing()
    from intent.telemetry.otel import OtelTracing

    return OtelTracing.to_endpoint(
        settings.otlp_endpoint,
        service=settings.context or "intent",
        ratio=settings.trace_ratio,
        http=settings.otlp_protocol == "http/protobuf",
    )
