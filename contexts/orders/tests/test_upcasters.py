"""Orders that were placed before an order had a currency and a total."""

from __future__ import annotations

from intent.testing import given, stored
from intent_contracts.orders.v1 import ConfirmOrder, OrderConfirmed, OrderPlaced
from orders.aggregates import Order
from orders.context import context

from .order_examples import ID, change, changed, eur, line, placed

OLD = OrderPlaced(customer_id="ann", lines=[line("a", 2, 500, currency=""), line("b", 3, 1, currency="")])
"""An event as version 1 stored it: prices without a currency, no currency of its own, no total."""


def test_an_old_order_is_read_in_euro_cents_with_its_sum() -> None:
    old = stored(OLD, version=1)
    given(Order, ID, old, upcasters=context.upcasters).when(ConfirmOrder(order_id=ID)).then(
        OrderConfirmed(total=eur(1003))
    ).then_state(lines=[line("a", 2, 500), line("b", 3, 1)])


def test_an_old_order_changes_like_any_other() -> None:
    old = stored(OLD, version=1)
    given(Order, ID, old, upcasters=context.upcasters).when(change("b", 0)).then(changed("b", 0, 1000))


def test_an_upcast_order_equals_one_placed_today() -> None:
    (upcaster,) = context.upcasters
    assert upcaster(OLD) == placed(line("a", 2, 500), line("b", 3, 1))
