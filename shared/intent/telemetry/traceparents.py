"""W3C traceparents and the span contexts of OpenTelemetry."""

from __future__ import annotations

import re
from typing import Final

from opentelemetry.trace import SpanContext, TraceFlags

__all__ = ["context_of", "traceparent_of"]

_FORM: Final = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


def context_of(traceparent: str) -> SpanContext | None:
    """Return the remote span that a traceparent names; None when it is malformed."""
    form = _FORM.fullmatch(traceparent)
    if form is None or traceparent.startswith("ff"):
        return None
    context = SpanContext(
        trace_id=int(form[1], 16),
        span_id=int(form[2], 16),
        is_remote=True,
        trace_flags=TraceFlags(int(form[3], 16)),
    )
    return context if context.is_valid else None


def traceparent_of(context: SpanContext) -> str:
    """Return the traceparent that makes later spans children of a span."""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"
