"""Messages that the tests of the domain kit build upon."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from google.protobuf.message import Message
from intent.contracts import Registry
from intent.model import AggregateType, CommandMetadata, Upcaster
from intent.records import StoredEvent
from intent_contracts.orders.v1 import Money, OrderLine, PlaceOrder
from orders.context import context

ORDERS = Registry.load()
METADATA = CommandMetadata(
    tenant="acme",
    command_id=UUID("6f1c3c4e-0000-4000-8000-000000000000"),
    actor="user:ann",
    correlation_id="c-1",
    received_at=datetime(2026, 1, 1, tzinfo=UTC),
)


def order_type() -> AggregateType:
    return context.bind(ORDERS).aggregates["Order"]


def place(*line_ids: str) -> PlaceOrder:
    price = Money(minor_units=100, currency="EUR")
    lines = [OrderLine(line_id=i, sku="s", quantity=1, unit_price=price) for i in line_ids or ("a", "b")]
    return PlaceOrder(order_id="o-1", customer_id="ann", lines=lines)


def decided(kind: AggregateType, *commands: Message) -> list[StoredEvent]:
    """Return the events that commands record, as the log keeps them."""
    aggregate = kind.new("acme", "o-1")
    events = [event for command in commands for event in kind.decide(aggregate, command, METADATA)]
    return [StoredEvent(version, *event) for version, event in enumerate(events, start=1)]


def upcaster(
    old: type[Message],
    new: type[Message],
    from_version: int,
    to_version: int | None = None,
    function: Callable[[Any], Any] = lambda message: message,
) -> Upcaster[Any, Any]:
    """Return an upcaster between classes that have no name to annotate with."""

    def run(message: Any) -> Any:
        return function(message)

    run.__annotations__ = {"message": old, "return": new}
    return Upcaster(run, from_version, to_version)
