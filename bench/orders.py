"""Orders that the benchmarks write directly to the store, without the command path."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import uuid4

from intent.origin import Origin, TraceContext
from intent.records import StreamKey
from intent.store import CommandWrite, EventWrite, StreamAppend
from intent_contracts.orders.v1 import LineChanged, Money, OrderLine, OrderPlaced

TENANTS = 16

_PRICE = Money(minor_units=999, currency="EUR")
_LINES = [OrderLine(line_id=str(n), sku=f"sku-{n}", quantity=n, unit_price=_PRICE) for n in (1, 2, 3)]
_TOTAL = Money(minor_units=5994, currency="EUR")


def placed(customer: int) -> EventWrite:
    event = OrderPlaced(customer_id=f"customer-{customer}", lines=_LINES, currency="EUR", total=_TOTAL)
    return EventWrite(uuid4(), "orders.v1.OrderPlaced", 2, event.SerializeToString())


def changed(number: int) -> EventWrite:
    event = LineChanged(line_id=str(number % 3 + 1), quantity=number % 9000 + 1, total=_TOTAL)
    return EventWrite(uuid4(), "orders.v1.LineChanged", 1, event.SerializeToString())


def order(number: int, events: Sequence[EventWrite]) -> StreamAppend:
    """Return the append of a new order with these events, recorded by one command."""
    command_id = uuid4()
    write = CommandWrite(
        origin=Origin(
            tenant=f"tenant-{number % TENANTS}",
            command_id=command_id,
            correlation_id=str(uuid4()),
            actor="bench",
            trace=TraceContext("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ),
        fingerprint=command_id.bytes * 2,
        outcome=b"o" * 140,
        events=events,
        workflow_id=f"orders/batch/{number // 256}",
    )
    return StreamAppend(StreamKey(f"tenant-{number % TENANTS}", "Order", uuid4().hex), 0, [write])
