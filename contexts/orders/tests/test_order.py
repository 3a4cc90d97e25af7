"""The rules of an order, as a specification."""

from __future__ import annotations

import pytest
from intent.testing import given
from intent_contracts.orders.v1 import (
    CancelOrder,
    ConfirmOrder,
    OrderCancelled,
    OrderConfirmed,
    OrderState,
    OrderStatus,
)
from orders.aggregates import TOTAL_LIMIT, Order

from .examples import ID, change, changed, eur, line, place, placed

CONFIRM = ConfirmOrder(order_id=ID)
CANCEL = CancelOrder(order_id=ID, reason="changed my mind")
CONFIRMED = OrderConfirmed(total=eur(1000))
CANCELLED = OrderCancelled(reason="changed my mind")


class TestPlace:
    def test_opens_an_order_with_the_sum_over_its_lines(self) -> None:
        lines = [line("a", 2, 500), line("b", 3, 1)]
        given(Order, ID).when(place(*lines)).then(placed(*lines)).then_state(
            OrderState(status=OrderStatus.ORDER_STATUS_OPEN, customer_id="ann", lines=lines, total=eur(1003))
        )

    def test_happens_once(self) -> None:
        given(Order, ID, placed()).when(place()).then_rejected("ORDER_ALREADY_PLACED")

    def test_happens_once_even_after_a_cancellation(self) -> None:
        given(Order, ID, placed(), CANCELLED).when(place()).then_rejected("ORDER_ALREADY_PLACED")

    def test_takes_a_hundred_lines(self) -> None:
        lines = [line(str(number)) for number in range(100)]
        given(Order, ID).when(place(*lines)).then(placed(*lines))

    def test_takes_no_more_than_a_hundred_lines(self) -> None:
        lines = [line(str(number)) for number in range(101)]
        given(Order, ID).when(place(*lines)).then_invalid("lines")

    def test_needs_a_line(self) -> None:
        command = place()
        command.ClearField("lines")
        given(Order, ID).when(command).then_invalid("lines")

    def test_refuses_two_lines_with_one_id(self) -> None:
        command = place(line("a"), line("b"), line("a"))
        given(Order, ID).when(command).then_rejected("DUPLICATE_LINE", line_id="a")

    def test_refuses_several_currencies(self) -> None:
        command = place(line("a", currency="USD"), line("b", currency="EUR"))
        given(Order, ID).when(command).then_rejected("MIXED_CURRENCIES", currencies="EUR, USD")

    def test_names_each_field_that_is_wrong(self) -> None:
        command = place(line("a"), line("b", quantity=0, currency="euro"))
        given(Order, ID).when(command).then_invalid("lines[1].quantity", "lines[1].unit_price.currency")

    def test_needs_a_price(self) -> None:
        command = place()
        command.lines[0].ClearField("unit_price")
        given(Order, ID).when(command).then_invalid("lines[0].unit_price")

    def test_allows_what_is_free(self) -> None:
        given(Order, ID).when(place(line(price=0))).then(placed(line(price=0)))

    def test_allows_the_largest_sum(self) -> None:
        given(Order, ID).when(place(line(quantity=1, price=TOTAL_LIMIT))).then_state(total=eur(TOTAL_LIMIT))

    def test_refuses_a_sum_that_no_amount_can_hold(self) -> None:
        lines = [line(str(number), 10_000, TOTAL_LIMIT) for number in range(100)]
        given(Order, ID).when(place(*lines)).then_rejected("ORDER_TOTAL_TOO_LARGE", total=str(10**18))


class TestChangeLine:
    def test_sets_the_quantity_and_the_sum(self) -> None:
        before = placed(line("a", 2, 500), line("b", 1, 30))
        given(Order, ID, before).when(change("a", 5)).then(changed("a", 5, 2530)).then_state(
            lines=[line("a", 5, 500), line("b", 1, 30)], total=eur(2530)
        )

    def test_with_zero_removes_the_line(self) -> None:
        before = placed(line("a", 2, 500), line("b", 1, 30))
        given(Order, ID, before).when(change("a", 0)).then(changed("a", 0, 30)).then_state(
            lines=[line("b", 1, 30)], total=eur(30)
        )

    def test_of_a_removed_line_is_refused(self) -> None:
        before = placed(line("a"), line("b"))
        outcome = given(Order, ID, before, changed("a", 0, 1000)).when(change("a", 1))
        outcome.then_rejected("ORDER_LINE_NOT_FOUND", line_id="a")

    def test_to_the_quantity_it_has_succeeds_and_records_nothing(self) -> None:
        given(Order, ID, placed(line("a", 2))).when(change("a", 2)).then_nothing()

    def test_of_an_unknown_line_is_refused(self) -> None:
        given(Order, ID, placed()).when(change("z", 1)).then_rejected("ORDER_LINE_NOT_FOUND", line_id="z")

    def test_cannot_remove_the_last_line(self) -> None:
        given(Order, ID, placed(line("a"))).when(change("a", 0)).then_rejected("LAST_LINE", line_id="a")

    def test_cannot_make_a_sum_that_no_amount_can_hold(self) -> None:
        before = placed(line("a", 1, TOTAL_LIMIT))
        given(Order, ID, before).when(change("a", 2)).then_rejected("ORDER_TOTAL_TOO_LARGE")

    @pytest.mark.parametrize(
        ("event", "status"),
        [(CONFIRMED, "confirmed"), (CANCELLED, "cancelled")],
        ids=lambda value: str(value),
    )
    def test_needs_an_open_order(self, event: OrderConfirmed | OrderCancelled, status: str) -> None:
        given(Order, ID, placed(), event).when(change("a", 3)).then_rejected("ORDER_NOT_OPEN", status=status)

    def test_needs_an_order(self) -> None:
        given(Order, ID).when(change("a", 3)).then_rejected("ORDER_NOT_FOUND")

    def test_refuses_a_negative_quantity(self) -> None:
        given(Order, ID, placed()).when(change("a", -1)).then_invalid("quantity")


class TestConfirm:
    def test_closes_the_order_with_its_sum(self) -> None:
        before = [placed(line("a", 2, 500)), changed("a", 3, 1500)]
        given(Order, ID, *before).when(CONFIRM).then(OrderConfirmed(total=eur(1500))).then_state(
            status=OrderStatus.ORDER_STATUS_CONFIRMED
        )

    def test_happens_once(self) -> None:
        given(Order, ID, placed()).when(CONFIRM).when(CONFIRM).then_rejected("ORDER_ALREADY_CONFIRMED")

    def test_of_a_cancelled_order_is_refused(self) -> None:
        given(Order, ID, placed(), CANCELLED).when(CONFIRM).then_rejected("ORDER_CANCELLED")

    def test_needs_an_order(self) -> None:
        given(Order, ID).when(CONFIRM).then_rejected("ORDER_NOT_FOUND")


class TestCancel:
    def test_ends_an_open_order_and_says_why(self) -> None:
        given(Order, ID, placed()).when(CANCEL).then(CANCELLED).then_state(
            status=OrderStatus.ORDER_STATUS_CANCELLED
        )

    def test_ends_a_confirmed_order(self) -> None:
        given(Order, ID, placed(), CONFIRMED).when(CANCEL).then(CANCELLED)

    def test_happens_once(self) -> None:
        given(Order, ID, placed()).when(CANCEL).when(CANCEL).then_rejected("ORDER_ALREADY_CANCELLED")

    def test_needs_a_reason(self) -> None:
        given(Order, ID, placed()).when(CancelOrder(order_id=ID)).then_invalid("reason")

    def test_needs_an_order(self) -> None:
        given(Order, ID).when(CANCEL).then_rejected("ORDER_NOT_FOUND")
