"""What customers may do: with their own orders alone."""

from __future__ import annotations

import pytest
from google.protobuf.message import Message
from intent.testing import given
from intent_contracts.orders.v1 import CancelOrder, CheckOutOrder, ConfirmOrder
from orders.aggregates import Order

from .order_examples import CHECKOUT, ID, change, place, placed

ON_OWN: tuple[Message, ...] = (
    CancelOrder(order_id=ID, reason="changed my mind"),
    CheckOutOrder(order_id=ID, checkout=CHECKOUT),
    change("a", 3),
)


def test_a_customer_places_orders_for_herself_alone() -> None:
    given(Order, ID).when(place(), actor="user:ann", roles=["customer"]).then_accepted()
    given(Order, ID).when(place(), actor="user:bob", roles=["customer"]).then_denied()
    given(Order, ID).when(place(), actor="service:shop", roles=["service"]).then_accepted()


@pytest.mark.parametrize("command", ON_OWN, ids=lambda command: command.DESCRIPTOR.name)
def test_a_customer_changes_her_own_orders_alone(command: Message) -> None:
    opened = given(Order, ID, placed())
    opened.when(command, actor="user:ann", roles=["customer"]).then_accepted()
    opened.when(command, actor="user:bob", roles=["customer"]).then_denied()
    opened.when(command, actor="user:bob", roles=["customer", "service"]).then_accepted()
    given(Order, ID).when(command, actor="user:ann", roles=["customer"]).then_denied()


def test_what_follows_from_a_checkout_is_not_for_customers() -> None:
    confirm = ConfirmOrder(order_id=ID)
    given(Order, ID, placed()).when(confirm, actor="user:ann", roles=["customer"]).then_denied("ROLE_MISSING")
