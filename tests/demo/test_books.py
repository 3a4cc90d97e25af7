"""The demo notices when something does not add up."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from intent_contracts.inventory.v1 import StockItem
from intent_contracts.orders.v1 import Money, OrderLine, OrderStatus, OrderView, PlaceOrder
from intent_contracts.payments.v1 import PaymentStatus, PaymentView
from intent_contracts.shipping.v1 import ParcelStatus, ParcelView

from demo.books import Books, Outcome
from demo.plan import Fate, Wish

TOTAL = Money(minor_units=900, currency="EUR")
LINES = [OrderLine(line_id="1", sku="tea", quantity=2)]


def wish(order_id: str, cancel_after: float | None = None) -> Wish:
    return Wish("shop-1", Fate.PLAIN, PlaceOrder(order_id=order_id, lines=LINES), cancel_after)


def order(order_id: str, status: OrderStatus.ValueType, reason: str = "") -> OrderView:
    return OrderView(order_id=order_id, status=status, total=TOTAL, cancel_reason=reason)


def payment(order_id: str, status: PaymentStatus.ValueType, captured: int, refunded: int) -> PaymentView:
    return PaymentView(payment_id=order_id, status=status, captured=captured, refunded=refunded)


DELIVERED = ParcelView(parcel_id="sold", status=ParcelStatus.PARCEL_STATUS_DELIVERED)
CHARGED = payment("sold", PaymentStatus.PAYMENT_STATUS_CAPTURED, 900, 0)
COMPLETED = order("sold", OrderStatus.ORDER_STATUS_COMPLETED)
BACK = order("back", OrderStatus.ORDER_STATUS_CANCELLED, "PARCEL_RETURNED: the parcel came back")
RIGHT = Books(
    tenant="shop-1",
    wishes={"sold": wish("sold"), "back": wish("back"), "none": wish("none"), "off": wish("off", 1.0)},
    received={"tea": 10},
    orders={
        "sold": COMPLETED,
        "back": BACK,
        "none": order("none", OrderStatus.ORDER_STATUS_CANCELLED, "OUT_OF_STOCK: there are none"),
        "off": order("off", OrderStatus.ORDER_STATUS_CANCELLED, "changed my mind"),
    },
    payments={"sold": CHARGED, "back": payment("back", PaymentStatus.PAYMENT_STATUS_REFUNDED, 900, 900)},
    parcels={
        "sold": DELIVERED,
        "back": ParcelView(parcel_id="back", status=ParcelStatus.PARCEL_STATUS_RETURNED),
    },
    stock={"tea": StockItem(sku="tea", on_hand=8)},
)


def test_books_that_add_up_have_no_problem() -> None:
    assert RIGHT.problems() == []
    assert (RIGHT.sold(), RIGHT.charged(), RIGHT.left()) == (900, 900, 2)


def test_each_order_is_counted_under_what_became_of_it() -> None:
    assert RIGHT.outcomes() == {
        Outcome.DELIVERED: 1,
        Outcome.RETURNED: 1,
        Outcome.OUT_OF_STOCK: 1,
        Outcome.REGRETTED: 1,
    }


WRONG: dict[str, tuple[str, dict[str, Any], str]] = {
    "an order that is missing": ("orders", {"sold": None}, "order sold is missing"),
    "an order that is still running": (
        "orders",
        {"sold": order("sold", OrderStatus.ORDER_STATUS_SHIPPED)},
        "order sold is not at its end: ORDER_STATUS_SHIPPED",
    ),
    "no charge": (
        "payments",
        {"sold": None},
        "order sold is completed, but 900 cents are not charged exactly once",
    ),
    "a charge given back": (
        "payments",
        {"sold": payment("sold", PaymentStatus.PAYMENT_STATUS_CAPTURED, 900, 100)},
        "order sold is completed, but 900 cents are not charged exactly once",
    ),
    "money that is kept": (
        "payments",
        {"back": payment("back", PaymentStatus.PAYMENT_STATUS_CAPTURED, 900, 0)},
        "order back is cancelled, but 900 cents are kept",
    ),
    "money that is still held": (
        "payments",
        {"back": payment("back", PaymentStatus.PAYMENT_STATUS_AUTHORIZED, 0, 0)},
        "order back is cancelled, but its payment is PAYMENT_STATUS_AUTHORIZED",
    ),
    "stock that is still held": (
        "stock",
        {"tea": StockItem(sku="tea", on_hand=8, reserved=2)},
        "2 of tea are still reserved",
    ),
    "stock that is lost": (
        "stock",
        {"tea": StockItem(sku="tea", on_hand=6)},
        "10 of tea came in and 2 left, but 6 are there",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_does_not_add_up_is_told(what: str) -> None:
    part, change, problem = WRONG[what]
    changed = {**getattr(RIGHT, part), **change}
    changed = {key: value for key, value in changed.items() if value is not None}
    parts: dict[str, Any] = {part: changed}
    assert replace(RIGHT, **parts).problems() == [problem]


def test_goods_that_nobody_received_are_told() -> None:
    lost = replace(RIGHT, parcels={})
    assert lost.problems() == [
        "order sold is completed, but its parcel is not delivered",
        "10 of tea came in and 0 left, but 8 are there",
    ]
