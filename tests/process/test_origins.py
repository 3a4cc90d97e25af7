"""What a caller says of its command reaches handlers, spans, events, and the commands that follow."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar
from uuid import uuid4

import grpc
import pytest
import pytest_asyncio
from intent.client import IntentClient
from intent.contracts import Registry
from intent.model import CommandMetadata, Consumer, Context, EventMetadata, consumes, handles
from intent.origin import TraceContext
from intent.process.assembly import ContextProcess
from intent.process.sockets import free_port
from intent.settings.config import Settings
from intent_contracts.intent.v1 import RecordedEvent
from intent_contracts.orders.v1 import (
    ChangeLine,
    Checkout,
    CheckOutOrder,
    CheckoutStarted,
    ConfirmOrder,
    LineChanged,
    OrderConfirmed,
    OrderPlaced,
    PlaceOrder,
    Receiver,
)
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from orders.aggregates import Order
from orders.context import context as orders

from tests.process.confirming import FulfilOrder

from ..support.command_path import place

TRACE = TraceContext(
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "rojo=00f067aa0ba902b7,congo=1"
)
TRACE_ID = TRACE.parent.split("-")[1]


CHECKOUT = Checkout(
    card_token="card",
    warehouse_id="w-1",
    ship_to=Receiver(name="Ann", street="Lane 1", postal_code="1", city="Town", country="DE"),
)


class _Order(Order):
    """An order that shows what its handlers know of their commands."""

    name = "Order"
    # By order as well: the process may be handed what another test left on the server.
    seen: ClassVar[dict[tuple[str, str], CommandMetadata]] = {}

    @handles
    def place(self, command: PlaceOrder) -> Any:
        return self._noted(command, super().place)

    @handles
    def change_line(self, command: ChangeLine) -> LineChanged | None:
        changed: LineChanged | None = self._noted(command, super().change_line)
        return changed

    @handles
    def confirm(self, command: ConfirmOrder) -> OrderConfirmed:
        confirmed: OrderConfirmed = self._noted(command, super().confirm)
        return confirmed

    def _noted(self, command: Any, handle: Any) -> Any:
        self.seen[command.order_id, type(command).__name__] = self.command
        return handle(command)


class _Doubling(Consumer):
    """Changes each order that is placed."""

    name = "orders.doubling"

    @consumes
    def placed(self, event: OrderPlaced, meta: EventMetadata) -> ChangeLine:
        return ChangeLine(order_id=meta.aggregate_id, line_id="1", quantity=2)


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Takes spans, as the collector of an installation does.

    Attributes:
        spans: What came, by name.
    """

    def __init__(self) -> None:
        self.spans: dict[str, list[Any]] = {}

    def Export(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    self.spans.setdefault(span.name, []).append(span)
        return trace_service_pb2.ExportTraceServiceResponse()


@pytest.fixture
def collector() -> Iterator[tuple[Collector, str]]:
    """A collector, and where it is."""
    server, port, collector = grpc.server(ThreadPoolExecutor(2)), free_port(), Collector()
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(collector, server)  # type: ignore[no-untyped-call]
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    yield collector, f"http://127.0.0.1:{port}"
    server.stop(None)


@pytest_asyncio.fixture
async def log(
    settings: Settings, collector: tuple[Collector, str], monkeypatch: pytest.MonkeyPatch
) -> list[RecordedEvent]:
    """The events of an order that a caller places and checks out, a consumer changes and a saga confirms."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))
    context = Context(
        "orders",
        aggregates=[_Order],
        projections=orders.projections,
        queries=orders.queries,
        upcasters=orders.upcasters,
        sagas=[FulfilOrder],
        consumers=[_Doubling],
    ).bind(Registry.load())
    settings = settings.model_copy(update={"port": free_port(), "otlp_endpoint": collector[1]})
    order_id = uuid4().hex
    caller = IntentClient.connect(
        f"127.0.0.1:{settings.port}",
        tenant="acme",
        traceparent=lambda: TRACE.parent,
        tracestate=lambda: TRACE.state,
    )
    async with ContextProcess(settings, context).started(), caller, asyncio.timeout(60):
        await caller.execute(place(order_id), causation_id="cause-1")
        events = caller.events()
        log = [await anext(events), await anext(events)]
        await caller.execute(CheckOutOrder(order_id=order_id, checkout=CHECKOUT))
        return [*log, await anext(events), await anext(events)]


async def test_a_handler_knows_what_caused_its_command(log: list[RecordedEvent]) -> None:
    placed, changed, checked_out, confirmed = log
    assert [event.type.rpartition(".")[2] for event in log] == [
        message.DESCRIPTOR.name for message in (OrderPlaced, LineChanged, CheckoutStarted, OrderConfirmed)
    ]
    id_ = placed.aggregate_id
    assert _Order.seen[id_, "PlaceOrder"].causation_id == placed.causation_id == "cause-1"
    assert _Order.seen[id_, "ChangeLine"].causation_id == changed.causation_id == placed.event_id
    assert _Order.seen[id_, "ConfirmOrder"].causation_id == confirmed.causation_id == checked_out.event_id


async def test_the_state_of_the_callers_trace_goes_wherever_the_trace_goes(
    log: list[RecordedEvent], collector: tuple[Collector, str]
) -> None:
    assert [event.traceparent.split("-")[1] for event in log] == [TRACE_ID] * 4
    assert [event.tracestate for event in log] == [TRACE.state] * 4
    spans = collector[0].spans
    for name, most in {
        "orders.v1.Orders/PlaceOrder": 1,
        "StartWorkflow ProcessCommands": 4,
        "Activity handle_commands": 4,
        "Activity route_command": 1,
        "append": 4,
    }.items():
        found = [span for span in spans[name] if span.trace_id.hex() == TRACE_ID]
        assert 1 <= len(found) <= most, name
        assert {span.trace_state for span in found} == {TRACE.state}, name
