"""Contracts that contradict each other are refused, with file, message and fix."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from intent.errors import ContractError
from intent_contracts.buf.validate import validate_pb2

from .protos import Field, Proto, field, registry, shop, text

FILE = "shop/v1/shop.proto"
EVENT = {"aggregate": "Cart", "version": 1}


def rejecting(*reasons: str) -> dict[str, Any]:
    """Return the option of a command with these reasons."""
    return {"aggregate": "Cart", "rejects": list(reasons)}


def _problems(*protos: Proto) -> tuple[str, ...]:
    with pytest.raises(ContractError) as raised:
        registry(*protos)
    return raised.value.problems


CASES: dict[str, tuple[Callable[[], Proto], str]] = {
    "command without aggregate": (
        lambda: shop().message("Close", text("id", aggregate_id=True), command={}),
        "shop.v1.Close names no aggregate; set `aggregate` in its option (intent.v1.command)",
    ),
    "command of an unknown aggregate": (
        lambda: shop().message("Close", text("id", aggregate_id=True), command={"aggregate": "Basket"}),
        "shop.v1.Close names the unknown aggregate 'Basket'; "
        "mark its state with (intent.v1.state), or name one of: Cart",
    ),
    "command without id": (
        lambda: shop().message("Close", text("id"), command={"aggregate": "Cart"}),
        "shop.v1.Close has no aggregate_id field; "
        "mark exactly one string field with (intent.v1.aggregate_id) = true",
    ),
    "command with two ids": (
        lambda: shop().message(
            "Close", text("a", aggregate_id=True), text("b", aggregate_id=True), command={"aggregate": "Cart"}
        ),
        "shop.v1.Close has 2 aggregate_id fields; "
        "mark exactly one string field with (intent.v1.aggregate_id) = true",
    ),
    "command whose id is a number": (
        lambda: shop().message(
            "Close", field("id", Field.TYPE_INT64, aggregate_id=True), command={"aggregate": "Cart"}
        ),
        "shop.v1.Close has the aggregate_id field id, which is not a string; make it a single string",
    ),
    "command with an empty reason": (
        lambda: shop().message("Close", text("id", aggregate_id=True), command=rejecting("CART_OPEN", "")),
        "shop.v1.Close rejects with ''; name a reason in UPPER_SNAKE_CASE, e.g. ORDER_NOT_OPEN",
    ),
    "command with a malformed reason": (
        lambda: shop().message("Close", text("id", aggregate_id=True), command=rejecting("CartOpen")),
        "shop.v1.Close rejects with 'CartOpen'; name a reason in UPPER_SNAKE_CASE, e.g. ORDER_NOT_OPEN",
    ),
    "command with a reason twice": (
        lambda: shop().message("Close", text("id", aggregate_id=True), command=rejecting("A_B", "A_B")),
        "shop.v1.Close rejects 2 times with 'A_B'; list each reason once in `rejects`",
    ),
    "command with a reason of the platform": (
        lambda: shop().message("Close", text("id", aggregate_id=True), command=rejecting("VERSION_CONFLICT")),
        "shop.v1.Close rejects with VERSION_CONFLICT, which the platform may answer to any command; "
        "remove it from `rejects`, or give another reason",
    ),
    "message of two kinds": (
        lambda: shop().message(
            "Close", text("id", aggregate_id=True), command={"aggregate": "Cart"}, event=EVENT
        ),
        "shop.v1.Close is marked as command and event; keep one of these options",
    ),
    "event of version 0": (
        lambda: shop().message("Closed", event={"aggregate": "Cart"}),
        "shop.v1.Closed has version 0, but versions begin with 1; "
        "set `version: 1` in its option (intent.v1.event)",
    ),
    "event of an unknown aggregate": (
        lambda: shop().message("Closed", event={"aggregate": "Basket", "version": 1}),
        "shop.v1.Closed names the unknown aggregate 'Basket'; "
        "mark its state with (intent.v1.state), or name one of: Cart",
    ),
    "state of version 0": (
        lambda: shop().message("BasketState", state={"aggregate": "Basket"}),
        "shop.v1.BasketState has version 0, but versions begin with 1; "
        "set `version: 1` in its option (intent.v1.state)",
    ),
    "two states of one aggregate": (
        lambda: shop().message("OtherState", state={"aggregate": "Cart", "version": 1}),
        "shop.v1.OtherState is a second state of Cart, besides shop.v1.CartState; "
        "remove the option (intent.v1.state) from one of the two",
    ),
    "two methods for one command": (
        lambda: shop().method("OpenAgain", "shop.v1.Open", "intent.v1.CommandResult"),
        "shop.v1.Shop.OpenAgain takes Open, which shop.v1.Shop.Open takes already; "
        "remove one of the two methods",
    ),
    "method that returns something else for a command": (
        lambda: (
            shop()
            .message("Close", text("id", aggregate_id=True), command={"aggregate": "Cart"})
            .method("Close", "shop.v1.Close", "shop.v1.CartView")
        ),
        "shop.v1.Shop.Close takes the command Close but returns shop.v1.CartView; "
        "return intent.v1.CommandResult",
    ),
    "method that takes neither command nor query": (
        lambda: shop().method("Peek", "shop.v1.CartView", "shop.v1.CartView"),
        "shop.v1.Shop.Peek takes shop.v1.CartView, which is neither command nor query; "
        "mark CartView as a command or a query with the options of intent/v1/options.proto",
    ),
    "method that streams": (
        lambda: (
            shop()
            .message("Watch", query={})
            .method("Watch", "shop.v1.Watch", "shop.v1.CartView", server_streaming=True)
        ),
        "shop.v1.Shop.Watch streams; typed methods take one message and return one",
    ),
    "query without method": (
        lambda: shop().message("ListCarts", query={}),
        "shop.v1.ListCarts is taken by no method; add one to the context's service, which says its answer",
    ),
    "read model without key": (
        lambda: shop().message("CartRow", text("id"), read_model={}),
        "shop.v1.CartRow has no key; mark the fields that identify a row with (intent.v1.key) = true",
    ),
    "read model with a key that is no column": (
        lambda: shop().message("CartRow", field("id", Field.TYPE_DOUBLE, key=True), read_model={}),
        "shop.v1.CartRow has the key or index id, whose type cannot be a column; "
        "use a single string, int32, int64, uint32, bool or enum field",
    ),
    "read model with a list as index": (
        lambda: shop().message(
            "CartRow",
            text("id", key=True),
            field("tags", Field.TYPE_STRING, repeated=True, indexed=True),
            read_model={},
        ),
        "shop.v1.CartRow has the key or index tags, whose type cannot be a column; "
        "use a single string, int32, int64, uint32, bool or enum field",
    ),
    "read model with a column of the platform": (
        lambda: shop().message("CartRow", text("tenant", key=True), read_model={}),
        "shop.v1.CartRow has the key or index tenant, a column that the platform adds itself; "
        "give the field another name",
    ),
    "read model with a table of the platform": (
        lambda: shop().message("Events", text("id", key=True), read_model={}),
        "shop.v1.Events has the table events, which the platform uses itself; "
        "set another `table` in (intent.v1.read_model)",
    ),
    "read model with an impossible table": (
        lambda: shop().message("CartRow", text("id", key=True), read_model={"table": 'x"; drop'}),
        "shop.v1.CartRow has the table name 'x\"; drop'; "
        "use at most 40 of a-z, 0-9 and _, beginning with a letter",
    ),
    "two read models with one table": (
        lambda: shop().message("CartRow", text("id", key=True), read_model={"table": "cart_view"}),
        "shop.v1.CartRow has the table cart_view, which shop.v1.CartView has already; "
        "set another `table` in (intent.v1.read_model)",
    ),
    "saga that nothing starts": (
        lambda: shop().message("Fulfil", saga={}),
        "shop.v1.Fulfil is started by nothing; name an event in `starts_on` of (intent.v1.saga), "
        "or mark it as `child: true`",
    ),
    "child saga that an event starts": (
        lambda: shop().message("Fulfil", saga={"starts_on": ["shop.v1.Opened"], "child": True}),
        "shop.v1.Fulfil is a child and started by events; keep either `starts_on` or `child: true`",
    ),
    "saga that sends an unknown command": (
        lambda: shop().message("Fulfil", saga={"starts_on": ["shop.v1.Opened"], "sends": ["bank.v1.Pay"]}),
        "shop.v1.Fulfil sends the unknown command 'bank.v1.Pay'; "
        "name a command of any context by its full name, e.g. orders.v1.PlaceOrder",
    ),
    "saga on an unknown event": (
        lambda: shop().message("Fulfil", saga={"starts_on": ["shop.v1.Gone"]}),
        "shop.v1.Fulfil listens to the unknown event 'shop.v1.Gone'; "
        "name an event by its full name, e.g. orders.v1.OrderPlaced",
    ),
    "saga correlated by a field that an event has not": (
        lambda: (
            shop()
            .message("Closed", field("cart_id", Field.TYPE_INT64), event=EVENT)
            .message("Fulfil", saga={"starts_on": ["shop.v1.Closed"], "correlated_by": "cart_id"})
        ),
        "shop.v1.Fulfil is correlated by cart_id, but shop.v1.Closed has no string field of that name; "
        "add the field to shop.v1.Closed, or change `correlated_by`",
    ),
    "saga correlated by a field of any length": (
        lambda: (
            shop()
            .message("Closed", text("owner"), event=EVENT)
            .message("Fulfil", saga={"starts_on": ["shop.v1.Closed"], "correlated_by": "owner"})
        ),
        "shop.v1.Fulfil is correlated by owner, which may have any length in shop.v1.Closed; "
        "give shop.v1.Closed.owner (buf.validate.field).string.max_len, such as 128",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_contradiction_is_refused_with_file_message_and_fix(case: str) -> None:
    make, problem = CASES[case]
    assert _problems(make()) == (f"{FILE}: {problem}",)


def test_contracts_without_contradiction_are_accepted() -> None:
    assert registry(shop()).contexts == ("shop",)


def test_a_package_must_name_its_context() -> None:
    protos = Proto("shop.proto", "shop").message("CartState", state={"aggregate": "Cart", "version": 1})
    assert _problems(protos) == (
        "shop.proto: shop.CartState is in package 'shop', which names no context; "
        "name the package <context>.v<number>, e.g. orders.v1",
    )


def test_a_service_takes_only_what_its_own_context_handles() -> None:
    other = Proto("till/v1/till.proto", "till.v1").message("GetTill", query={})
    till = other.method("GetTill", "till.v1.GetTill", "till.v1.GetTill", service="Till")
    foreign = shop()
    foreign.file.dependency.append("till/v1/till.proto")
    foreign.method("Till", "till.v1.GetTill", "shop.v1.CartView")
    assert _problems(till, foreign) == (
        "shop/v1/shop.proto: shop.v1.Shop.Till takes till.v1.GetTill, which belongs to another context; "
        "move the method to a service of till.v1",
        "shop/v1/shop.proto: shop.v1.Shop.Till takes GetTill, which till.v1.Till.GetTill takes already; "
        "remove one of the two methods",
    )


def test_field_rules_that_do_not_compile_are_refused() -> None:
    broken = text("id", aggregate_id=True)
    rule = broken.options.Extensions[validate_pb2.field].cel.add()
    rule.id, rule.expression = "broken", "this is no expression"
    (problem,) = _problems(shop().message("Close", broken, command={"aggregate": "Cart"}))
    assert problem.startswith(f"{FILE}: shop.v1.Close has field rules that do not compile (")
    assert problem.endswith("; correct its (buf.validate) options")


def test_every_contradiction_is_listed_at_once() -> None:
    protos = shop().message("Close", command={}).message("Closed", event={}).message("Fulfil", saga={})
    with pytest.raises(ContractError) as raised:
        registry(protos)
    assert len(raised.value.problems) == 5
    assert str(raised.value).startswith(
        "5 contradictions in the contracts:\n  - shop/v1/shop.proto: shop.v1.Clos"
    )
