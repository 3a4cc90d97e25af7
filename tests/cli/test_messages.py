"""JSON that does not fit a contract: the error names every field and says how to fix it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from intent.cli.examples import example
from intent.cli.exits import UsageError
from intent.cli.messages import find_type, message_of
from intent.cli.plain import to_dict
from intent_contracts.orders.v1 import ListOrders, OrderStatus, OrderView, PlaceOrder

from .running import ORDER


def _error(value: Any, kind: Any = PlaceOrder) -> str:
    with pytest.raises(UsageError) as caught:
        message_of(kind, json.dumps(value))
    return str(caught.value)


def test_json_becomes_the_message_and_back() -> None:
    message = message_of(PlaceOrder, json.dumps(ORDER))
    assert isinstance(message, PlaceOrder)
    assert message.lines[0].unit_price.minor_units == 350
    assert to_dict(message)["customer_id"] == "ann"


def test_field_names_may_be_written_as_proto_json_has_them() -> None:
    message = message_of(PlaceOrder, '{"orderId": "o-1", "customerId": null}')
    assert isinstance(message, PlaceOrder)
    assert message.order_id == "o-1"


def test_large_numbers_enums_and_times_are_read() -> None:
    listed = message_of(ListOrders, '{"status": "ORDER_STATUS_OPEN", "page_size": "7"}')
    assert isinstance(listed, ListOrders)
    assert (listed.status, listed.page_size) == (OrderStatus.ORDER_STATUS_OPEN, 7)
    view = message_of(OrderView, '{"placed_at": "2026-01-31T12:00:00Z"}')
    assert isinstance(view, OrderView)
    assert view.placed_at == Timestamp(seconds=1769860800)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"order": "x"}, "there is no field order; did you mean order_id?"),
        ({"zzz": 1}, "PlaceOrder has: order_id, customer_id, lines"),
        ({"order_id": 7}, "order_id must be a string, not the number 7"),
        ({"lines": {}}, "lines must be a list, not an object"),
        ({"lines": [3]}, "lines[0] must be an object, not the number 3"),
        ({"lines": [{}, {"quantity": 1.5}]}, "lines[1].quantity must be a whole number, not the number 1.5"),
        ({"lines": [{"quantity": True}]}, "lines[0].quantity must be a number, not true"),
        ({"lines": [{"unit_price": {"amount": 1}}]}, "there is no field lines[0].unit_price.amount"),
        ([], "it must be an object, not a list"),
    ],
)
def test_every_misfit_is_named(value: Any, message: str) -> None:
    assert message in _error(value)


def test_the_values_of_an_enum_are_listed_for_a_wrong_one() -> None:
    assert "status must be one of ORDER_STATUS_UNSPECIFIED, ORDER_STATUS_OPEN" in _error(
        {"status": "OPEN"}, ListOrders
    )


def test_a_number_out_of_range_is_refused() -> None:
    assert "this is not a valid orders.v1.ListOrders" in _error({"page_size": 99999999999}, ListOrders)


def test_every_problem_is_reported_at_once() -> None:
    error = _error({"order": 1, "customer_id": 2})
    assert "no field order" in error
    assert "customer_id must be" in error


def test_an_example_fits_its_contract() -> None:
    for kind in (PlaceOrder, ListOrders, OrderView):
        message_of(kind, json.dumps(example(kind.DESCRIPTOR)))


def test_a_name_that_two_contexts_share_must_be_given_in_full() -> None:
    with pytest.raises(UsageError, match=r"Close could be a\.v1\.Close or b\.v1\.Close; give the full name"):
        find_type("Close", {"a.v1.Close": 1, "b.v1.Close": 2}, "command")
    assert find_type("b.v1.Close", {"a.v1.Close": 1, "b.v1.Close": 2}, "command") == 2
