"""What an aggregate class declares, and what its methods may do."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from intent.errors import AggregateNotFound, Rejected
from intent.model import Aggregate, applies, handles
from intent_contracts.orders.v1 import (
    CancelOrder,
    ConfirmOrder,
    OrderCancelled,
    OrderConfirmed,
    OrderState,
)
from orders.aggregates import Order


class Closing(Aggregate[OrderState]):
    @handles
    def confirm(self, command: ConfirmOrder) -> OrderConfirmed:
        return OrderConfirmed()

    @applies
    def confirmed(self, event: OrderConfirmed) -> None:
        self.state.customer_id = "closed"


class Parcel(Closing):
    name = "Parcel"

    @handles
    def cancel(self, command: CancelOrder) -> Sequence[OrderCancelled]:
        return [OrderCancelled(), OrderCancelled()]

    @handles
    def confirm(self, command: ConfirmOrder) -> OrderConfirmed:
        return OrderConfirmed()


def _order(version: int = 0) -> Order:
    order = Order("acme", "o-1", OrderState())
    order.version = version
    return order


def test_methods_are_found_by_the_type_of_their_parameter() -> None:
    assert Order.command_handlers["orders.v1.PlaceOrder"] is Order.place
    assert Order.event_appliers["orders.v1.LineChanged"] is Order.line_changed
    assert len(Order.command_handlers) == len(Order.event_appliers) == 8


def test_a_class_has_its_name_and_its_state() -> None:
    assert (Order.name, Order.state_type) == ("Order", OrderState)
    assert Parcel.name == "Parcel"


def test_methods_and_state_are_inherited_and_can_be_replaced() -> None:
    assert Parcel.state_type is OrderState
    assert set(Parcel.command_handlers) == {"orders.v1.ConfirmOrder", "orders.v1.CancelOrder"}
    assert Parcel.command_handlers["orders.v1.ConfirmOrder"] is Parcel.confirm
    assert Parcel.event_appliers["orders.v1.OrderConfirmed"] is Closing.confirmed
    assert not len(Parcel.declaration_problems)


def test_a_rejection_names_the_aggregate_and_the_facts() -> None:
    with pytest.raises(Rejected) as raised:
        _order().reject("TOO_MANY", "order {id} has {count} lines, {limit} fit", count=7, limit=5)
    assert raised.value.reason == "TOO_MANY"
    assert raised.value.message == "order o-1 has 7 lines, 5 fit"
    assert raised.value.metadata == {"count": "7", "limit": "5"}


def test_a_fact_that_is_missing_or_looks_like_a_name_spoils_nothing() -> None:
    with pytest.raises(Rejected, match=r"\{nothing\} and \{id\} stay"):
        _order().reject("ODD", "{nothing} and {word} stay", word="{id}")


def test_a_condition_decides_over_a_rejection() -> None:
    _order().reject_if(False, "NEVER", "never")
    with pytest.raises(Rejected, match="always"):
        _order().reject_if(1, "ALWAYS", "always")


def test_a_missing_aggregate_is_not_found_for_a_stable_reason() -> None:
    with pytest.raises(AggregateNotFound, match="there is no order o-1") as raised:
        _order().require_exists()
    assert raised.value.reason == "ORDER_NOT_FOUND"
    _order(version=1).require_exists()


def test_an_aggregate_exists_from_its_first_event_on() -> None:
    assert not _order().exists
    assert _order(version=1).exists


def test_the_command_is_known_to_handlers_only() -> None:
    with pytest.raises(RuntimeError, match="put what appliers need into the event"):
        assert _order().command
