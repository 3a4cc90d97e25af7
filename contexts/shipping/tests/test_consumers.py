from __future__ import annotations

import pytest
from google.protobuf.message import Message
from intent.testing import reactions
from intent_contracts.orders.v1 import (
    CheckoutStarted,
    OrderCancelled,
    OrderCompleted,
    OrderConfirmed,
    OrderLine,
    OrderPlaced,
    OrderShipped,
)
from intent_contracts.shipping.v1 import NoteOrder, NoteOrderStatus
from shipping.consumers import NoteOrders

LINES = [OrderLine(line_id="1"), OrderLine(line_id="2")]


def status(text: str) -> NoteOrderStatus:
    return NoteOrderStatus(order_id="o-1", status=text)


def test_an_order_is_noted_when_it_is_placed() -> None:
    placed = OrderPlaced(customer_id="ann", lines=LINES)
    assert reactions(NoteOrders, "o-1", placed) == [
        NoteOrder(order_id="o-1", customer_id="ann", line_count=2)
    ]


def test_its_lines_are_noted_again_once_they_are_fixed() -> None:
    fixed = CheckoutStarted(customer_id="ann", lines=LINES[:1])
    assert reactions(NoteOrders, "o-1", fixed) == [
        NoteOrder(order_id="o-1", customer_id="ann", line_count=1),
        status("checking-out"),
    ]


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (OrderConfirmed(), "confirmed"),
        (OrderShipped(), "shipped"),
        (OrderCompleted(), "completed"),
        (OrderCancelled(reason="too dear"), "cancelled"),
    ],
)
def test_its_status_is_noted(event: Message, text: str) -> None:
    assert reactions(NoteOrders, "o-1", event) == [status(text)]
