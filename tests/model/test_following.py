"""A field of a read model that follows from which event came."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from intent.contracts import Registry
from intent.errors import ContractError
from intent.model import EventMetadata, Projection, follows, projects
from intent.testing import projected
from intent_contracts.inventory.v1 import StockItem, StockReceived
from intent_contracts.orders.v1 import (
    CheckoutStarted,
    GetOrder,
    LineChanged,
    OrderCancelled,
    OrderCompleted,
    OrderConfirmed,
    OrderPlaced,
    OrderStatus,
    OrderSummary,
    OrderView,
)
from orders.context import context as orders
from orders.projections import OrderSummaries, OrderViews

OPEN = OrderStatus.ORDER_STATUS_OPEN
CONFIRMED = OrderStatus.ORDER_STATUS_CONFIRMED
COMPLETED = OrderStatus.ORDER_STATUS_COMPLETED
REGISTRY = Registry.load()


class Summaries(Projection[OrderSummary]):
    status = follows("status", {OrderConfirmed: CONFIRMED, OrderCompleted: COMPLETED})
    lines = follows("line_count", {LineChanged: 1})

    @projects
    def placed(self, row: OrderSummary, event: OrderPlaced) -> None:
        row.customer_id, row.status = event.customer_id, OPEN


PLACED = OrderPlaced(customer_id="ann")


def test_a_field_has_the_value_of_the_last_of_its_events() -> None:
    def shown(*events: Any) -> tuple[int, int]:
        (row,) = projected(Summaries, "o-1", PLACED, *events)
        assert (row.order_id, row.customer_id) == ("o-1", "ann")
        return row.status, row.line_count

    assert shown() == (OPEN, 0)
    assert shown(OrderConfirmed()) == (CONFIRMED, 0)
    assert shown(OrderConfirmed(), LineChanged(), OrderCompleted()) == (COMPLETED, 1)
    assert shown(OrderCompleted(), OrderConfirmed()) == (CONFIRMED, 0)
    assert shown(OrderConfirmed(), OrderCancelled()) == (CONFIRMED, 0)


def test_an_event_that_comes_first_makes_the_row() -> None:
    assert projected(Summaries, "o-1", OrderConfirmed()) == [OrderSummary(order_id="o-1", status=CONFIRMED)]


def test_after_is_called_after_these_events_too() -> None:
    class Views(Projection[OrderView]):
        status = follows("status", {OrderConfirmed: CONFIRMED})

        def after(self, view: OrderView, meta: EventMetadata) -> None:
            view.version = meta.version

    (view,) = projected(Views, "o-1", OrderConfirmed(), OrderConfirmed())
    assert (view.status, view.version) == (CONFIRMED, 2)


def test_the_rows_that_an_event_concerns_may_be_others_than_the_aggregates() -> None:
    class Items(Projection[StockItem]):
        low = follows(
            "low",
            {StockReceived: True},
            key=lambda event, meta: [(meta.aggregate_id, line.sku) for line in event.lines],
        )

    received = StockReceived(lines=[{"sku": "tea", "quantity": 1}, {"sku": "milk", "quantity": 1}])  # type: ignore[list-item]
    rows = projected(Items, "w-1", received)
    assert [(row.warehouse_id, row.sku, row.low) for row in rows] == [
        ("w-1", "tea", True),
        ("w-1", "milk", True),
    ]


def test_a_subclass_inherits_the_declaration_or_has_its_own() -> None:
    class More(Summaries):
        lines = follows("line_count", {LineChanged: 7})

    (row,) = projected(More, "o-1", OrderConfirmed(), LineChanged())
    assert (row.status, row.line_count) == (CONFIRMED, 7)


class Faulty(Projection[OrderSummary]):
    unknown = follows("state", {OrderPlaced: OPEN})
    key = follows("order_id", {OrderPlaced: "o-1"})
    many = follows("total", {OrderPlaced: 1})
    empty: Any = follows("status", {})
    not_a_table: Any = follows("status", OrderPlaced)  # type: ignore[arg-type]
    no_event: Any = follows("status", {3: OPEN})  # type: ignore[dict-item]
    number = follows("status", {OrderConfirmed: 99})
    text: Any = follows("status", {OrderCompleted: "COMPLETED"})
    truth = follows("line_count", {OrderCancelled: True})
    large = follows("line_count", {LineChanged: 2**40})
    foreign = follows("status", {StockReceived: OPEN})
    query = follows("status", {GetOrder: OPEN})
    twice = follows("line_count", {OrderConfirmed: 1})

    @projects
    def checked_out(self, row: OrderSummary, event: CheckoutStarted) -> None: ...

    thrice = follows("status", {CheckoutStarted: OPEN})


def test_what_cannot_be_followed_is_reported_with_everything_else() -> None:
    declared = replace(orders, projections=[OrderViews, OrderSummaries, Faulty])
    with pytest.raises(ContractError) as raised:
        declared.bind(REGISTRY)
    here = f"{__name__}: Faulty"
    status = "give a value of orders.v1.OrderStatus that the field can hold"
    number = "give a value of int that the field can hold"
    assert [problem.removeprefix(here) for problem in raised.value.problems] == [
        " takes inventory.v1.StockReceived in foreign, which is no event of the context orders; "
        "a projection reads the log of its own context",
        " takes orders.v1.GetOrder in query, which is no event of the context orders; "
        "a projection reads the log of its own context",
        " writes orders.v1.OrderSummary, as orders.projections.OrderSummaries does already; "
        "let one projection write it, under a name of its own",
        ".empty names no event; give the value of each event, as in {OrderConfirmed: CONFIRMED}",
        ".key sets the field 'order_id', which is part of the key; name a field besides the key",
        ".key takes orders.v1.OrderPlaced, which Faulty.unknown takes already; leave one of the two",
        f".large sets line_count to {2**40} on orders.v1.LineChanged; {number}",
        ".many sets the field 'total', which holds no single value; write a method with @projects instead",
        ".many takes orders.v1.OrderPlaced, which Faulty.unknown takes already; leave one of the two",
        ".no_event names 3 as an event; name the message class of an event",
        ".not_a_table names no event; give the value of each event, as in {OrderConfirmed: CONFIRMED}",
        f".number sets status to 99 on orders.v1.OrderConfirmed; {status}",
        f".text sets status to 'COMPLETED' on orders.v1.OrderCompleted; {status}",
        ".thrice takes orders.v1.CheckoutStarted, which Faulty.checked_out takes already; "
        "leave one of the two",
        f".truth sets line_count to True on orders.v1.OrderCancelled; {number}",
        ".twice takes orders.v1.OrderConfirmed, which Faulty.number takes already; leave one of the two",
        ".unknown sets the field 'state', which orders.v1.OrderSummary does not have; "
        "name one of customer_id, line_count, order_id, placed_at, status, total",
    ]
