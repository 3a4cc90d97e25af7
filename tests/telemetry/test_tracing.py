"""Traces: one per caller, through a batch that serves many."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator

import grpc
import pytest
from intent.origin import NO_TRACE, TraceContext
from intent.settings.config import load_settings
from intent.telemetry.otel import OtelTracing, current_traces
from intent.telemetry.trace_contexts import context_of, trace_of
from intent.telemetry.tracing import NoTracing, setup_tracing
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

_A = TraceContext("00-" + "a" * 32 + "-" + "1" * 16 + "-01", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE")
_B = TraceContext("00-" + "b" * 32 + "-" + "2" * 16 + "-01")
_UNSAMPLED = TraceContext("00-" + "c" * 32 + "-" + "3" * 16 + "-00")


class _Traced:
    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.tracing = OtelTracing(SimpleSpanProcessor(self._exporter), service="orders")

    def spans(self, name: str) -> list[ReadableSpan]:
        return [span for span in self._exporter.get_finished_spans() if span.name == name]


@pytest.fixture
def traced() -> Iterator[_Traced]:
    traced = _Traced()
    yield traced
    traced.tracing.close()


def _trace(span: ReadableSpan) -> str:
    assert span.context is not None
    return f"{span.context.trace_id:032x}"


async def _called(traced: _Traced, trace: TraceContext, code: grpc.StatusCode, reason: str) -> TraceContext:
    call = traced.tracing.calls.start("/orders.v1.Orders/PlaceOrder", trace)
    call.caller("acme", "user:ann")
    call.command("c-1", "k-1")
    call.finish(code, reason)
    return call.trace


async def test_a_call_continues_its_callers_trace(traced: _Traced) -> None:
    onward = await asyncio.create_task(_called(traced, _A, grpc.StatusCode.OK, ""))
    (span,) = traced.spans("orders.v1.Orders/PlaceOrder")
    assert _trace(span) == "a" * 32
    assert span.parent is not None
    assert f"{span.parent.span_id:016x}" == "1" * 16
    assert span.context is not None
    assert onward == trace_of(span.context)
    assert onward.state == _A.state
    assert span.attributes is not None
    assert span.attributes["intent.tenant"] == "acme"
    assert span.attributes["intent.command_id"] == "c-1"
    assert span.status.is_ok


async def test_a_rejection_is_no_fault_and_a_defect_is(traced: _Traced) -> None:
    await asyncio.create_task(
        _called(traced, _A, grpc.StatusCode.FAILED_PRECONDITION, "ORDER_ALREADY_PLACED")
    )
    await asyncio.create_task(_called(traced, _B, grpc.StatusCode.INTERNAL, "INTERNAL"))
    rejected, defect = traced.spans("orders.v1.Orders/PlaceOrder")
    assert rejected.status.is_ok
    assert rejected.attributes is not None
    assert rejected.attributes["error.type"] == "ORDER_ALREADY_PLACED"
    assert not defect.status.is_ok


def test_a_step_of_a_batch_shows_in_each_trace_that_it_serves(traced: _Traced) -> None:
    served = [_A, _B, _A, _UNSAMPLED, NO_TRACE, TraceContext("malformed")]
    with traced.tracing.step("handle", served), traced.tracing.step("append"):
        assert [trace.state for trace in current_traces()] == [_A.state, ""]
    handled, appended = traced.spans("handle"), traced.spans("append")
    assert [_trace(span) for span in handled] == ["a" * 32, "b" * 32]
    assert [_trace(span) for span in appended] == ["a" * 32, "b" * 32]
    for inner, outer in zip(appended, handled, strict=True):
        assert inner.parent is not None
        assert outer.context is not None
        assert inner.parent.span_id == outer.context.span_id


def test_a_step_that_serves_no_trace_records_nothing(traced: _Traced) -> None:
    with traced.tracing.step("handle", [_UNSAMPLED]), traced.tracing.step("append"):
        assert current_traces() == []
    assert traced.spans("handle") == []
    assert traced.spans("append") == []


def test_a_failing_step_carries_its_error(traced: _Traced) -> None:
    with pytest.raises(ValueError, match="boom"), traced.tracing.step("handle", [_A]):
        raise ValueError("boom")
    (span,) = traced.spans("handle")
    assert not span.status.is_ok
    assert span.events[0].name == "exception"
    assert current_traces() == []


async def test_watched_calls_are_spans_and_the_rest_passes_through(traced: _Traced) -> None:
    class Store:
        schema = "orders"

        async def append(self, count: int) -> int:
            return count + 1

    store = traced.tracing.watch(Store(), "postgresql", "append")
    with traced.tracing.step("handle", [_A]):
        assert await store.append(1) == 2
    (span,) = traced.spans("append")
    assert span.attributes is not None
    assert span.attributes["db.system.name"] == "postgresql"
    assert store.schema == "orders"


def test_a_trace_context_survives_the_round_trip() -> None:
    context = context_of(_A)
    assert context is not None
    assert trace_of(context) == _A


@pytest.mark.parametrize(
    "text",
    ["", "00", _B.parent[:-1], _B.parent.replace("b" * 32, "0" * 32), "ff" + _B.parent[2:], "00-XYZ"],
)
def test_a_malformed_traceparent_names_no_span(text: str) -> None:
    assert context_of(TraceContext(text, _A.state)) is None


def test_without_an_endpoint_nothing_is_recorded() -> None:
    tracing = setup_tracing(load_settings())
    assert isinstance(tracing, NoTracing)
    store = object()
    assert tracing.watch(store, "postgresql", "append") is store
    with tracing.step("handle", [_A]):
        assert tracing.calls.start("/m", _A).trace == _A


def test_without_an_endpoint_the_sdk_is_not_loaded() -> None:
    code = (
        "import sys; from intent.settings.config import load_settings; import intent.process.assembly; "
        "from intent.telemetry.tracing import setup_tracing; setup_tracing(load_settings()); "
        "unwanted = ('opentelemetry.sdk', 'opentelemetry.exporter', 'sqlalchemy', 'alembic'); "
        "print([name for name in sys.modules if name.startswith(unwanted)])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
