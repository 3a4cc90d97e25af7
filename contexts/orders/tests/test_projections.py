"""What the read models of orders show."""

from __future__ import annotations

from datetime import UTC, datetime

from google.protobuf.message import Message
from hypothesis import given as given_any
from hypothesis import settings
from hypothesis import strategies as st
from intent.testing import projected, stored
from intent_contracts.orders.v1 import (
    CancellationRequested,
    OrderCancelled,
    OrderCompleted,
    OrderConfirmed,
    OrderPlaced,
    OrderShipped,
    OrderStatus,
    OrderSummary,
    OrderView,
)
from orders.context import context
from orders.projections import OrderSummaries, OrderViews

from .order_examples import ID, changed, checkout_started, eur, line, placed

AT = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
PLACED = placed(line("a", 2, 500), line("b", 1, 30))


def _view(*events: Message) -> OrderView:
    (view,) = projected(OrderViews, ID, PLACED, *events, first_at=AT)
    return view


def _summary(*events: Message) -> OrderSummary:
    (row,) = projected(OrderSummaries, ID, PLACED, *events, first_at=AT)
    return row


def test_a_placed_order_is_shown_in_full() -> None:
    expected = OrderView(
        order_id=ID,
        customer_id="ann",
        status=OrderStatus.ORDER_STATUS_OPEN,
        lines=PLACED.lines,
        total=eur(1030),
        version=1,
    )
    expected.placed_at.FromDatetime(AT)
    expected.changed_at.FromDatetime(AT)
    assert _view() == expected


def test_a_view_follows_its_lines_and_shows_when_it_changed() -> None:
    view = _view(changed("a", 3, 1530), changed("b", 0, 1500))
    assert [(each.line_id, each.quantity) for each in view.lines] == [("a", 3)]
    assert (view.total, view.version) == (eur(1500), 3)
    assert view.changed_at.ToDatetime(UTC) == AT.replace(second=2)
    assert view.placed_at.ToDatetime(UTC) == AT


def test_a_view_shows_why_an_order_was_cancelled() -> None:
    view = _view(OrderConfirmed(total=eur(1030)), OrderCancelled(reason="late"))
    assert (view.status, view.cancel_reason) == (OrderStatus.ORDER_STATUS_CANCELLED, "late")


def test_the_list_shows_the_status_and_the_total_of_an_order() -> None:
    row = _summary(changed("b", 0, 1000), OrderConfirmed(total=eur(1000)))
    assert (row.order_id, row.customer_id) == (ID, "ann")
    assert (row.status, row.line_count, row.total) == (OrderStatus.ORDER_STATUS_CONFIRMED, 1, eur(1000))
    assert row.placed_at.ToDatetime(UTC) == AT


def test_the_list_shows_cancelled_orders() -> None:
    assert _summary(OrderCancelled(reason="late")).status == OrderStatus.ORDER_STATUS_CANCELLED


FULFILLED: list[tuple[Message, OrderStatus.ValueType]] = [
    (checkout_started(), OrderStatus.ORDER_STATUS_CHECKING_OUT),
    (OrderConfirmed(total=eur(1030)), OrderStatus.ORDER_STATUS_CONFIRMED),
    (CancellationRequested(reason="late"), OrderStatus.ORDER_STATUS_CANCELLING),
    (OrderShipped(refused_cancellation="late"), OrderStatus.ORDER_STATUS_SHIPPED),
    (OrderCompleted(), OrderStatus.ORDER_STATUS_COMPLETED),
]


def test_both_models_follow_the_fulfilment() -> None:
    for number, (_, status) in enumerate(FULFILLED, start=1):
        events = [event for event, _ in FULFILLED[:number]]
        assert (_view(*events).status, _summary(*events).status) == (status, status)
        assert _view(*events).version == number + 1


def test_a_view_shows_why_an_order_is_to_be_cancelled_until_it_is_shipped_after_all() -> None:
    events = [event for event, _ in FULFILLED]
    assert _view(*events[:3]).cancel_reason == "late"
    assert _view(*events[:4]).cancel_reason == ""


def test_an_order_of_the_first_version_is_shown_in_euro() -> None:
    old = OrderPlaced(customer_id="ann", lines=[line("a", 2, 500, currency="")])
    (row,) = projected(OrderSummaries, ID, stored(old, version=1), upcasters=context.upcasters)
    assert row.total == eur(1000)


@given_any(st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 9)), max_size=8))
@settings(max_examples=50, deadline=None)
def test_both_models_agree_on_any_history(changes: list[tuple[str, int]]) -> None:
    events = [changed(line_id, quantity, quantity) for line_id, quantity in changes]
    view, row = _view(*events), _summary(*events)
    assert (row.line_count, row.total, row.status) == (len(view.lines), view.total, view.status)
