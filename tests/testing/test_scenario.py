"""The given-when-then kit fails when it should, and says why."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from intent.contracts import MESSAGE_LIMIT
from intent.errors import AggregateNotFound
from intent.model import handles
from intent.testing import Outcome, given, stored
from intent_contracts.orders.v1 import (
    CancelOrder,
    ConfirmOrder,
    Money,
    OrderCancelled,
    OrderConfirmed,
    OrderPlaced,
    OrderState,
    OrderStatus,
)
from orders.aggregates import Order

from ..model.messages import place

CONFIRM = ConfirmOrder(order_id="o-1")
TOTAL = Money(minor_units=200, currency="EUR")
CONFIRMED = OrderConfirmed(total=TOTAL)
PLACED = OrderPlaced(customer_id="ann", lines=place().lines, currency="EUR", total=TOTAL)


def _confirmed() -> Outcome:
    return given(Order, "o-1", PLACED).when(CONFIRM)


def _refused() -> Outcome:
    return given(Order, "o-1").when(CONFIRM)


def test_what_holds_passes_and_can_be_chained() -> None:
    outcome = _confirmed().then(CONFIRMED).then_state(status=OrderStatus.ORDER_STATUS_CONFIRMED, total=TOTAL)
    outcome.when(CancelOrder(order_id="o-1", reason="r")).then(OrderCancelled(reason="r"))
    _refused().then_rejected("ORDER_NOT_FOUND", aggregate_id="o-1")


def test_an_outcome_shows_what_was_recorded_or_why_not() -> None:
    assert (_confirmed().events, _confirmed().reason) == ((CONFIRMED,), "")
    assert (_refused().events, _refused().reason) == ((), "ORDER_NOT_FOUND")


FAILURES: dict[str, tuple[Callable[[], object], str]] = {
    "another event": (
        lambda: _confirmed().then(OrderConfirmed(total=Money(minor_units=7, currency="EUR"))),
        r"\(- expected, \+ recorded\):\n(.|\n)*-     minor_units: 7\n\+     minor_units: 200",
    ),
    "an event where none is expected": (
        lambda: _confirmed().then_nothing(),
        r"- nothing\n\+ orders\.v1\.OrderConfirmed",
    ),
    "a rejection where an event is expected": (
        lambda: _refused().then(CONFIRMED),
        r"but it was refused: ORDER_NOT_FOUND: there is no order o-1",
    ),
    "a rejection where success is expected": (
        lambda: _refused().then_accepted(),
        r"expected success, but it was refused: ORDER_NOT_FOUND: there is no order o-1",
    ),
    "an event where a rejection is expected": (
        lambda: _confirmed().then_rejected("ORDER_NOT_FOUND"),
        r"expected a rejection ORDER_NOT_FOUND, but it recorded orders\.v1\.OrderConfirmed",
    ),
    "another reason": (
        lambda: _refused().then_rejected("ORDER_CANCELLED"),
        r"expected a rejection ORDER_CANCELLED, but it was ORDER_NOT_FOUND",
    ),
    "other facts": (
        lambda: _refused().then_rejected("ORDER_NOT_FOUND", aggregate_id="o-2"),
        r"to name \{'aggregate_id': 'o-2'\}, but it names \{'aggregate_id': 'o-1'\}",
    ),
    "a rejection where an invalid command is expected": (
        lambda: _refused().then_invalid("order_id"),
        r"expected an invalid command, but it was AggregateNotFound: ORDER_NOT_FOUND",
    ),
    "another invalid field": (
        lambda: given(Order, "o-1").when(ConfirmOrder()).then_invalid("customer_id"),
        r"expected \['customer_id'\] to be invalid, but it was CONTRACT_VIOLATED",
    ),
    "another state": (
        lambda: _confirmed().then_state(customer_id="bob"),
        r"another state than expected \(- expected, \+ actual\):\n(.|\n)*customer_id: \"bob\"",
    ),
    "a whole state that differs": (
        lambda: _confirmed().then_state(OrderState()),
        r"\+   customer_id: \"ann\"",
    ),
}


@pytest.mark.parametrize("case", FAILURES)
def test_what_does_not_hold_fails_and_shows_the_difference(case: str) -> None:
    check, message = FAILURES[case]
    with pytest.raises(AssertionError, match=message):
        check()


class Meddling(Order):
    name = "Order"

    @handles
    def confirm(self, command: ConfirmOrder) -> OrderConfirmed:
        self.state.customer_id = "meddler"
        return super().confirm(command)

    @handles
    def cancel(self, command: CancelOrder) -> OrderCancelled:
        self.state.customer_id = "meddler"
        self.reject("NEVER", "never")


def test_a_handler_that_changes_the_state_fails_its_test() -> None:
    with pytest.raises(AssertionError, match="only appliers may change it"):
        given(Meddling, "o-1", PLACED).when(CONFIRM)
    with pytest.raises(AssertionError, match="changed the state of a command that it refused"):
        given(Meddling, "o-1", PLACED).when(CancelOrder(order_id="o-1", reason="r"))


class Drifting(Order):
    name = "Order"

    @handles
    def confirm(self, command: ConfirmOrder) -> OrderConfirmed:
        self.reject("ORDER_STALE", "order {id} is stale")

    @handles
    def cancel(self, command: CancelOrder) -> OrderCancelled:
        raise AggregateNotFound("ORDER_LOST", "there is no order")


def test_a_reason_that_the_contract_does_not_declare_fails_its_test() -> None:
    with pytest.raises(AssertionError) as refused:
        given(Drifting, "o-1", PLACED).when(CONFIRM)
    assert str(refused.value) == (
        "Order rejects orders.v1.ConfirmOrder with 'ORDER_STALE', which its contract does not declare "
        "(declared: ORDER_NOT_FOUND, ORDER_ALREADY_CONFIRMED, ORDER_CANCELLING, ORDER_SHIPPED, "
        "ORDER_COMPLETED, ORDER_CANCELLED); add 'ORDER_STALE' to `rejects` in the option "
        "(intent.v1.command) of ConfirmOrder in proto/orders/v1/commands.proto and run `make proto`, "
        "or give a declared reason"
    )
    with pytest.raises(AssertionError, match=r"Order rejects orders\.v1\.CancelOrder with 'ORDER_LOST'"):
        given(Drifting, "o-1", PLACED).when(CancelOrder(order_id="o-1", reason="r"))


class Copious(Order):
    name = "Order"

    @handles
    def cancel(self, command: CancelOrder) -> OrderCancelled:
        return OrderCancelled(reason="r" * MESSAGE_LIMIT)


def test_what_the_platform_adds_need_not_be_declared() -> None:
    cancel = CancelOrder(order_id="o-1", reason="r")
    given(Copious, "o-1", PLACED).when(cancel).then_rejected("EVENT_TOO_LARGE")


def test_events_of_older_versions_need_their_upcasters() -> None:
    with pytest.raises(Exception, match=r"orders\.v1\.OrderPlaced version 1 is unknown"):
        given(Order, "o-1", stored(PLACED, version=1)).when(CONFIRM)


def test_whose_an_aggregate_is_is_checked_when_roles_are_given() -> None:
    cancel = CancelOrder(order_id="o-1", reason="r")
    order = given(Order, "o-1", PLACED)
    order.when(cancel, actor="user:bob").then_accepted()
    order.when(cancel, actor="user:bob", roles=["service"]).then_accepted()
    order.when(cancel, actor="user:ann", roles=["customer"]).then_accepted()
    assert order.when(cancel, actor="user:bob", roles=["customer"]).then_denied().reason == "NOT_THE_OWNER"
    order.when(cancel, actor="user:ann", roles=[]).then_denied("ROLE_MISSING")
    order.when(CONFIRM).when(cancel, actor="user:bob", roles=["customer"]).then_denied()
    with pytest.raises(AssertionError, match="expected a denial NOT_THE_OWNER, but it was ROLE_MISSING"):
        order.when(cancel, actor="user:ann", roles=["nobody"]).then_denied()
    with pytest.raises(AssertionError, match="expected a denial NOT_THE_OWNER, but it recorded"):
        order.when(cancel).then_denied()
