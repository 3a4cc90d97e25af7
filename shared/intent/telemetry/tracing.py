"""Traces: from the caller's call through workflow and activities to SQL, as one trace.

Without an endpoint nothing of OpenTelemetry's SDK is imported and nothing is recorded; what
a caller sends as traceparent is passed on all the same. A batch carries commands of many
traces, so each step of a batch is recorded once in every sampled trace that it serves.
Spans come from the server and from activities only, never from workflow code, so that a
replay invents none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final, Protocol, TypeVar

from intent.settings.config import Settings
from intent.telemetry.spans import CallTracer, NoTracer

__all__ = ["NoTracing", "Tracing", "setup_tracing"]

T = TypeVar("T")

_NOTHING: Final = nullcontext()


class Tracing(Protocol):
    """Records traces.

    Attributes:
        enabled: False when nothing is recorded.
        calls: Starts the span of each gRPC call.
    """

    enabled: bool
    calls: CallTracer

    def step(
        self, name: str, parents: Iterable[str] | None = None, attributes: Mapping[str, Any] | None = None
    ) -> AbstractContextManager[None]:
        """Records what happens inside as a span of every sampled trace that it serves.

        Args:
            name: What happens, e.g. ``append``.
            parents: The traceparents under which it happens; None: the enclosing step's spans.
            attributes: Facts about it.
        """
        ...

    def watch(self, target: T, system: str, *methods: str) -> T:
        """Returns the target with a span around each call of these methods.

        Args:
            target: Any object.
            system: What it speaks with, e.g. ``postgresql``.
            methods: Names of its coroutine methods.
        """
        ...

    def interceptors(self) -> list[Any]:
        """Returns the interceptors for the Temporal client and so for its workers."""
        ...

    def close(self) -> None:
        """Sends what was recorded and ends."""
        ...


class NoTracing:
    """Records nothing and costs nothing."""

    enabled: bool = False

    def __init__(self) -> None:
        self.calls: CallTracer = NoTracer()

    def step(
        self, name: str, parents: Iterable[str] | None = None, attributes: Mapping[str, Any] | None = None
    ) -> AbstractContextManager[None]:
        """Does nothing."""
        return _NOTHING

    def watch(self, target: T, system: str, *methods: str) -> T:
        """Returns the target itself."""
        return target

    def interceptors(self) -> list[Any]:
        """Returns none."""
        return []

    def close(self) -> None:
        """Does nothing."""


def setup_tracing(settings: Settings) -> Tracing:
    """Returns what records traces, or what records none when no endpoint is set."""
    if not settings.otlp_endpoint:
        return NoTracing()
    from intent.telemetry.otel import OtelTracing

    return OtelTracing.to_endpoint(
        settings.otlp_endpoint, service=settings.context or "intent", ratio=settings.trace_ratio
    )
