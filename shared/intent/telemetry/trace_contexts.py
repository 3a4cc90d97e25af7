"""W3C trace contexts and the span contexts of OpenTelemetry."""

from __future__ import annotations

import re
from typing import Final

from opentelemetry.trace import SpanContext, TraceFlags, TraceState

from intent.origin import TraceContext

__all__ = ["context_of", "trace_of"]

_FORM: Final = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


def context_of(trace: TraceContext) -> SpanContext | None:
    """Return the remote span that a trace context names; None when it is malformed."""
    form = _FORM.fullmatch(trace.parent)
    if form is None or trace.parent.startswith("ff"):
        return None
    context = SpanContext(
        trace_id=int(form[1], 16),
        span_id=int(form[2], 16),
        is_remote=True,
        trace_flags=TraceFlags(int(form[3], 16)),
        trace_state=TraceState.from_header([trace.state]) if trace.state else None,
    )
    return context if context.is_valid else None


def trace_of(context: SpanContext) -> TraceContext:
    """Return the trace context that makes later spans children of a span."""
    parent = f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"
    return TraceContext(parent, context.trace_state.to_header() if context.trace_state else "")
