"""What a message must be, before a handler sees it."""

from __future__ import annotations

import contextlib

import pytest
from google.protobuf import struct_pb2
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2
from hypothesis import given, settings
from hypothesis import strategies as st
from intent.contracts import MESSAGE_LIMIT, Registry, parse, validate
from intent.contracts.texts import may_contain_nul, nul_violations
from intent.contracts.times import time_violations
from intent.errors import InvalidCommand
from intent_contracts.orders.v1 import (
    CancelOrder,
    GetOrder,
    Money,
    OrderLine,
    OrderList,
    OrderSummary,
    OrderView,
    PlaceOrder,
)


def _line(line_id: str = "a", quantity: int = 1) -> OrderLine:
    price = Money(minor_units=1, currency="EUR")
    return OrderLine(line_id=line_id, sku="s", quantity=quantity, unit_price=price)


def _place(*lines: OrderLine, order_id: str = "o-1") -> PlaceOrder:
    return PlaceOrder(order_id=order_id, customer_id="ann", lines=lines or [_line()])


def _refused(command: Message) -> InvalidCommand:
    with pytest.raises(InvalidCommand) as raised:
        validate(command)
    return raised.value


def test_a_good_message_passes() -> None:
    validate(_place())


def test_each_broken_rule_names_its_field() -> None:
    error = _refused(_place(_line("a"), _line("b"), _line("", quantity=0)))
    assert error.reason == "CONTRACT_VIOLATED"
    assert [(v.field, v.rule) for v in error.violations] == [
        ("lines[2].line_id", "string.min_len"),
        ("lines[2].quantity", "int32.gte_lte"),
    ]
    assert "quantity: must be greater than or equal to 1" in str(error)


@pytest.mark.parametrize("order_id", ["o\n1", "o\x001", "o\u202e1", "x" * 256, "  "])
def test_an_aggregates_id_must_be_printable_short_and_not_blank(order_id: str) -> None:
    violations = _refused(_place(order_id=order_id)).violations
    assert ("order_id", "must be 1 to 255 printable characters, and not blank") in [
        (v.field, v.description) for v in violations
    ]


@pytest.mark.parametrize("order_id", ["o-1", "Zürich 7/b", "注文", "a b"])
def test_an_aggregates_id_may_be_any_printable_text(order_id: str) -> None:
    validate(_place(order_id=order_id))


def test_text_must_not_contain_nul_anywhere() -> None:
    error = _refused(_place(_line("a"), _line("b\x00")))
    assert [(v.field, v.rule) for v in error.violations] == [("lines[1].line_id", "string.nul")]


@given(st.text(alphabet=["\0", "\\", "0", "a", "\n", '"'], min_size=1, max_size=12))
def test_nul_is_found_whatever_stands_around_it(text: str) -> None:
    message = OrderView(order_id=text, cancel_reason="\\000")
    message.total.SetInParent()
    data = message.SerializeToString() + b"\0"
    assert may_contain_nul(message, data) == ("\0" in text)
    assert [v.field for v in nul_violations(message)] == ["order_id"] * ("\0" in text)


_YEAR_10_000 = Timestamp(seconds=253_402_300_800)


@pytest.mark.parametrize(
    ("message", "fields"),
    [
        (OrderView(placed_at=_YEAR_10_000), ["placed_at"]),
        (OrderView(placed_at=Timestamp(seconds=-62_135_596_801)), ["placed_at"]),
        (
            OrderView(placed_at=Timestamp(nanos=-1), changed_at=Timestamp(nanos=10**9)),
            ["placed_at", "changed_at"],
        ),
        (
            OrderList(orders=[OrderSummary(), OrderSummary(placed_at=_YEAR_10_000)]),
            ["orders[1].placed_at"],
        ),
        (error_details_pb2.RetryInfo(retry_delay=Duration(seconds=1, nanos=-1)), ["retry_delay"]),
        (error_details_pb2.RetryInfo(retry_delay=Duration(seconds=315_576_000_001)), ["retry_delay"]),
        (struct_pb2.ListValue(), []),
    ],
)
def test_times_that_no_calendar_shows_are_refused(message: Message, fields: list[str]) -> None:
    assert [violation.field for violation in time_violations(message)] == fields


def test_a_time_out_of_range_breaks_a_contract() -> None:
    assert [v.field for v in _refused(OrderView(order_id="o-1", placed_at=_YEAR_10_000)).violations] == [
        "placed_at"
    ]
    validate(OrderView(order_id="o-1", placed_at=Timestamp(seconds=253_402_300_799, nanos=999_999_999)))


def test_queries_have_no_aggregate_but_rules_of_their_own() -> None:
    validate(GetOrder(order_id="o-1"))
    assert [v.field for v in _refused(GetOrder()).violations] == ["order_id"]


def test_a_message_over_the_limit_is_refused_with_both_sizes() -> None:
    error = _refused(CancelOrder(order_id="o-1", reason="x" * MESSAGE_LIMIT))
    assert error.reason == "MESSAGE_TOO_LARGE"
    assert error.metadata["limit"] == str(256 * 1024)
    assert "orders.v1.CancelOrder has 2621" in error.message


def test_the_limit_can_be_set() -> None:
    with pytest.raises(InvalidCommand, match="at most 10 are allowed"):
        validate(_place(), limit=10)


def test_bytes_become_the_message_of_a_class_or_a_contract() -> None:
    data = _place().SerializeToString()
    contract = Registry.load().command("orders.v1.PlaceOrder")
    assert parse(PlaceOrder, data) == parse(contract, data) == _place()


def test_malformed_bytes_are_refused() -> None:
    with pytest.raises(InvalidCommand, match=r"the bytes do not encode orders\.v1\.PlaceOrder") as raised:
        parse(PlaceOrder, b"\xff\xff")
    assert raised.value.reason == "MALFORMED_MESSAGE"


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_a_valid_command_or_an_invalid_one(data: bytes) -> None:
    # Anything but the two answers that a caller can act on would end the test.
    with contextlib.suppress(InvalidCommand):
        validate(parse(PlaceOrder, data))
