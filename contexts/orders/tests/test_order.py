"""The rules of an order, as a specification."""

from __future__ import annotations

import pytest
from google.protobuf.message import Message
from intent.testing import given
from intent_contracts.orders.v1 import (
    AbandonOrder,
    CancellationRequested,
    CancelOrder,
    CheckOutOrder,
    CompleteOrder,
    ConfirmOrder,
    OrderCancelled,
    OrderCompleted,
    OrderConfirmed,
    OrderShipped,
    OrderState,
    OrderStatus,
    ShipOrder,
)
from orders.aggregates import TOTAL_LIMIT, Order

from .order_examples import CHECKOUT, ID, change, changed, checkout_started, eur, line, place, placed

CONFIRM = ConfirmOrder(order_id=ID)
CANCEL = CancelOrder(order_id=ID, reason="changed my mind")
CONFIRMED = OrderConfirmed(total=eur(1000))
CANCELLED = OrderCancelled(reason="changed my mind")
CHECK_OUT = CheckOutOrder(order_id=ID, checkout=CHECKOUT)
SHIP = ShipOrder(order_id=ID)
COMPLETE = CompleteOrder(order_id=ID)
ABANDON = AbandonOrder(order_id=ID, reason="out of stock")
REQUESTED = CancellationRequested(reason="changed my mind")

HISTORIES: dict[str, list[Message]] = {
    "nothing": [],
    "open": [placed()],
    "checking out": [placed(), checkout_started()],
    "confirmed": [placed(), checkout_started(), CONFIRMED],
    "cancelling": [placed(), checkout_started(), CONFIRMED, REQUESTED],
    "shipped": [placed(), checkout_started(), CONFIRMED, OrderShipped()],
    "completed": [placed(), checkout_started(), CONFIRMED, OrderShipped(), OrderCompleted()],
    "cancelled": [placed(), checkout_started(), CANCELLED],
}
"""The events by which a checked-out order gets each status."""

REFUSALS: list[tuple[Message, dict[str, str]]] = [
    (
        CHECK_OUT,
        {
            "nothing": "ORDER_NOT_FOUND",
            "checking out": "ORDER_ALREADY_CHECKED_OUT",
            "confirmed": "ORDER_CONFIRMED",
            "cancelling": "ORDER_CANCELLING",
            "shipped": "ORDER_SHIPPED",
            "completed": "ORDER_COMPLETED",
            "cancelled": "ORDER_CANCELLED",
        },
    ),
    (
        CONFIRM,
        {
            "nothing": "ORDER_NOT_FOUND",
            "confirmed": "ORDER_ALREADY_CONFIRMED",
            "cancelling": "ORDER_CANCELLING",
            "shipped": "ORDER_SHIPPED",
            "completed": "ORDER_COMPLETED",
            "cancelled": "ORDER_CANCELLED",
        },
    ),
    (
        CANCEL,
        {
            "nothing": "ORDER_NOT_FOUND",
            "cancelling": "ORDER_ALREADY_CANCELLING",
            "shipped": "ORDER_SHIPPED",
            "completed": "ORDER_COMPLETED",
            "cancelled": "ORDER_ALREADY_CANCELLED",
        },
    ),
    (
        SHIP,
        {
            "nothing": "ORDER_NOT_FOUND",
            "open": "ORDER_NOT_CONFIRMED",
            "checking out": "ORDER_NOT_CONFIRMED",
            "shipped": "ORDER_ALREADY_SHIPPED",
            "completed": "ORDER_COMPLETED",
            "cancelled": "ORDER_CANCELLED",
        },
    ),
    (
        COMPLETE,
        {
            "nothing": "ORDER_NOT_FOUND",
            "open": "ORDER_NOT_SHIPPED",
            "checking out": "ORDER_NOT_SHIPPED",
            "confirmed": "ORDER_NOT_SHIPPED",
            "cancelling": "ORDER_NOT_SHIPPED",
            "completed": "ORDER_ALREADY_COMPLETED",
            "cancelled": "ORDER_CANCELLED",
        },
    ),
    (
        ABANDON,
        {
            "nothing": "ORDER_NOT_FOUND",
            "open": "ORDER_NOT_CHECKED_OUT",
            "completed": "ORDER_COMPLETED",
            "cancelled": "ORDER_ALREADY_CANCELLED",
        },
    ),
]
CASES = [
    pytest.param(command, stands, refusals.get(stands), id=f"{type(command).__name__} {stands}")
    for command, refusals in REFUSALS
    for stands in HISTORIES
]


@pytest.mark.parametrize(("command", "stands", "reason"), CASES)
def test_a_step_is_taken_where_it_follows_and_refused_elsewhere_by_its_own_reason(
    command: Message, stands: str, reason: str | None
) -> None:
    outcome = given(Order, ID, *HISTORIES[stands]).when(command)
    if reason is None:
        outcome.then_accepted()
    else:
        outcome.then_rejected(reason)


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

    def test_with_a_checkout_checks_out_at_once(self) -> None:
        command = place()
        command.checkout.CopyFrom(CHECKOUT)
        given(Order, ID).when(command).then(placed(), checkout_started()).then_state(
            status=OrderStatus.ORDER_STATUS_CHECKING_OUT, total=eur(1000), checked_out=True
        )

    def test_with_a_checkout_needs_all_of_it(self) -> None:
        command = place()
        command.checkout.card_token = "tok-ok"
        given(Order, ID).when(command).then_invalid("checkout.warehouse_id", "checkout.ship_to")


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
        [(CONFIRMED, "confirmed"), (CANCELLED, "cancelled"), (checkout_started(), "checking out")],
        ids=lambda value: value if isinstance(value, str) else type(value).__name__,
    )
    def test_needs_an_open_order(self, event: Message, status: str) -> None:
        given(Order, ID, placed(), event).when(change("a", 3)).then_rejected("ORDER_NOT_OPEN", status=status)

    def test_needs_an_order(self) -> None:
        given(Order, ID).when(change("a", 3)).then_rejected("ORDER_NOT_FOUND")

    def test_refuses_a_negative_quantity(self) -> None:
        given(Order, ID, placed()).when(change("a", -1)).then_invalid("quantity")


class TestCheckOut:
    def test_fixes_the_lines_as_they_are(self) -> None:
        lines = [line("a", 3, 500)]
        given(Order, ID, placed(), changed("a", 3, 1500)).when(CHECK_OUT).then(
            checkout_started(*lines)
        ).then_state(status=OrderStatus.ORDER_STATUS_CHECKING_OUT, checked_out=True)

    def test_needs_a_checkout(self) -> None:
        given(Order, ID, placed()).when(CheckOutOrder(order_id=ID)).then_invalid("checkout")

    def test_needs_a_country_by_its_code(self) -> None:
        command = CheckOutOrder(order_id=ID, checkout=CHECKOUT)
        command.checkout.ship_to.country = "Germany"
        given(Order, ID, placed()).when(command).then_invalid("checkout.ship_to.country")


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

    def test_ends_an_order_that_is_being_checked_out(self) -> None:
        given(Order, ID, *HISTORIES["checking out"]).when(CANCEL).then(CANCELLED)

    def test_of_a_checkout_that_was_confirmed_is_asked_for_and_not_decided(self) -> None:
        given(Order, ID, *HISTORIES["confirmed"]).when(CANCEL).then(REQUESTED).then_state(
            status=OrderStatus.ORDER_STATUS_CANCELLING, cancel_reason="changed my mind"
        )

    def test_happens_once(self) -> None:
        given(Order, ID, placed()).when(CANCEL).when(CANCEL).then_rejected("ORDER_ALREADY_CANCELLED")

    def test_needs_a_reason(self) -> None:
        given(Order, ID, placed()).when(CancelOrder(order_id=ID)).then_invalid("reason")

    def test_needs_an_order(self) -> None:
        given(Order, ID).when(CANCEL).then_rejected("ORDER_NOT_FOUND")


class TestShip:
    def test_closes_a_confirmed_order_to_cancellations(self) -> None:
        given(Order, ID, *HISTORIES["confirmed"]).when(SHIP).then(OrderShipped()).then_state(
            status=OrderStatus.ORDER_STATUS_SHIPPED
        )

    def test_turns_down_a_cancellation_that_came_too_late(self) -> None:
        given(Order, ID, *HISTORIES["cancelling"]).when(SHIP).then(
            OrderShipped(refused_cancellation="changed my mind")
        ).then_state(status=OrderStatus.ORDER_STATUS_SHIPPED, cancel_reason="")


class TestComplete:
    def test_ends_a_shipped_order(self) -> None:
        given(Order, ID, *HISTORIES["shipped"]).when(COMPLETE).then(OrderCompleted()).then_state(
            status=OrderStatus.ORDER_STATUS_COMPLETED
        )


class TestAbandon:
    @pytest.mark.parametrize("stands", ["checking out", "confirmed", "shipped"])
    def test_ends_a_checked_out_order_however_far_it_is(self, stands: str) -> None:
        given(Order, ID, *HISTORIES[stands]).when(ABANDON).then(OrderCancelled(reason="out of stock"))

    def test_of_an_order_that_the_customer_cancels_tells_the_customers_reason(self) -> None:
        given(Order, ID, *HISTORIES["cancelling"]).when(ABANDON).then(CANCELLED)
