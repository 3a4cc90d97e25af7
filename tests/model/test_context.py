"""A context is bound to its contracts, or refused with everything that contradicts them."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import EntryPoint
from typing import Any

import pytest
from intent.contracts import Registry
from intent.errors import ConfigurationError, ContractError
from intent.model import (
    Aggregate,
    Context,
    Projection,
    Queries,
    Upcaster,
    answers,
    applies,
    discover,
    handles,
    load_context,
    projects,
)
from intent_contracts.orders.v1 import (
    CancelOrder,
    ConfirmOrder,
    GetOrder,
    LineChanged,
    OrderConfirmed,
    OrderLine,
    OrderPlaced,
    OrderState,
    OrderSummary,
    OrderView,
    PlaceOrder,
)
from orders.aggregates import Order
from orders.context import context as orders
from orders.projections import OrderSummaries, OrderViews

from ..contracts.protos import Proto, registry, shop, text
from .messages import ORDERS, upcaster


def _problems(context: Context, contracts: Registry = ORDERS) -> list[str]:
    with pytest.raises(ContractError) as raised:
        context.bind(contracts)
    return list(raised.value.problems)


def _with(**parts: Any) -> Context:
    return replace(orders, **parts)


def test_a_bound_context_has_all_its_parts() -> None:
    bound = orders.bind(ORDERS)
    assert bound.name == "orders"
    assert bound.aggregates["Order"].cls is Order
    assert bound.aggregates["Order"].snapshot_every == 100
    assert list(bound.projections) == [OrderViews, OrderSummaries]
    assert bound.queries is orders.queries
    assert bound.upcasters.knows("orders.v1.OrderPlaced", 1)


class Partial(Aggregate[OrderState]):
    name = "Order"

    @handles
    def place(self, command: PlaceOrder) -> OrderPlaced: ...  # type: ignore[empty-body]

    @handles
    def confirm(self, command: ConfirmOrder) -> OrderConfirmed: ...  # type: ignore[empty-body]

    @applies
    def placed(self, event: OrderPlaced) -> None: ...

    @applies
    def changed(self, event: LineChanged) -> None: ...

    @applies
    def confirmed(self, event: OrderConfirmed) -> None: ...


def test_a_missing_handler_or_applier_is_refused_with_the_method_to_add() -> None:
    problems = _problems(_with(aggregates=[Partial]))
    assert all(
        "has no handler in Order" in problem or "has no applier in Order" in problem for problem in problems
    )
    assert set(problems) >= {
        "orders/v1/commands.proto: orders.v1.CancelOrder has no handler in Order; add a method to "
        "tests.model.test_context.Partial: @handles def …(self, command: CancelOrder) -> …",
        "orders/v1/commands.proto: orders.v1.ChangeLine has no handler in Order; add a method to "
        "tests.model.test_context.Partial: @handles def …(self, command: ChangeLine) -> …",
        "orders/v1/events.proto: orders.v1.OrderCancelled has no applier in Order; add a method to "
        "tests.model.test_context.Partial: @applies def …(self, event: OrderCancelled) -> None",
    }
    assert not [problem for problem in problems if "PlaceOrder" in problem or "OrderPlaced" in problem]


class Twice(Order):
    name = "Order"

    @handles
    def cancel_again(self, command: CancelOrder) -> None: ...


def test_two_handlers_for_one_command_are_refused() -> None:
    assert _problems(_with(aggregates=[Twice])) == [
        "tests.model.test_context: Twice.cancel_again takes orders.v1.CancelOrder, "
        "which Order.cancel takes already; leave one of the two"
    ]


class Strange(Order):
    name = "Order"

    @handles
    def look(self, command: GetOrder) -> None: ...

    @applies
    def looked(self, event: OrderView) -> None: ...

    @handles
    def cancel(self, command: CancelOrder) -> Sequence[OrderLine]: ...  # type: ignore[override,empty-body]


def test_what_is_no_command_or_event_is_refused() -> None:
    assert _problems(_with(aggregates=[Strange])) == [
        "tests.model.test_context: Strange.cancel returns orders.v1.OrderLine, which is no event of Order; "
        "return events of the aggregate only",
        "tests.model.test_context: Strange.look handles orders.v1.GetOrder, which is no command; "
        "mark the message with (intent.v1.command)",
        "tests.model.test_context: Strange.looked applies orders.v1.OrderView, which is no event; "
        "mark the message with (intent.v1.event)",
    ]


class Parcel(Order):
    name = "Parcel"


def test_a_handler_for_a_command_of_another_aggregate_is_refused() -> None:
    problems = _problems(_with(aggregates=[Order, Parcel]))
    where = "tests.model.test_context: Parcel"
    assert (
        f"{where}.place handles orders.v1.PlaceOrder, a command of Order of context orders; "
        "move it to Order of context orders" in problems
    )
    assert (
        f"{where} is the aggregate Parcel, for which there is no state in the contracts; "
        'mark its state with (intent.v1.state) = {aggregate: "Parcel"}' in problems
    )
    foreign = [problem for problem in problems if "an event of Order" in problem]
    assert len(foreign) == len(Order.event_appliers)


def test_an_aggregate_declared_twice_is_refused() -> None:
    assert _problems(_with(aggregates=[Order, Twice])) == [
        "tests.model.test_context: Twice is a second aggregate Order, besides orders.aggregates.Order; "
        "name it once in the context's aggregates"
    ]


def test_an_aggregate_without_class_is_refused() -> None:
    assert _problems(_with(aggregates=[])) == [
        "orders/v1/state.proto: orders.v1.OrderState is the state of Order, "
        "for which the context has no class; name the class Order in the context's aggregates"
    ]


class OtherState(Aggregate[OrderView]):
    name = "Order"


def test_another_state_than_the_contracts_is_refused() -> None:
    assert (
        "tests.model.test_context: OtherState has the state orders.v1.OrderView; "
        "its state in the contracts is orders.v1.OrderState" in _problems(_with(aggregates=[OtherState]))
    )


def test_an_event_version_without_upcaster_is_refused() -> None:
    assert _problems(_with(upcasters=[])) == [
        "orders/v1/events.proto: orders.v1.OrderPlaced is at version 2, but no upcaster leads there from 1; "
        "declare an upcaster from each older version and name it in the context's upcasters"
    ]


def test_an_unknown_context_is_refused() -> None:
    assert _problems(Context("parcels")) == [
        "context: parcels has no contracts; "
        "name the context as its proto package, without the version; "
        f"known are: {', '.join(ORDERS.contexts)}"
    ]


class MoreViews(Projection[OrderView]):
    @projects
    def placed(self, view: OrderView, event: OrderPlaced) -> None: ...


class Names(Projection[OrderState]):
    version = 0

    @projects
    def seen(self, row: OrderState, event: OrderView) -> None: ...


def test_a_read_model_has_one_projection() -> None:
    (problem,) = _problems(_with(projections=[OrderViews, OrderSummaries, MoreViews]))
    assert problem == (
        "tests.model.test_context: MoreViews writes orders.v1.OrderView, "
        "as orders.projections.OrderViews does already; let one projection write it, under a name of its own"
    )


def test_a_read_model_without_projection_is_refused() -> None:
    assert _problems(_with(projections=[OrderViews])) == [
        "orders/v1/views.proto: orders.v1.OrderSummary is written by no projection; "
        "name one in the context's projections"
    ]


def test_a_projection_reads_events_of_its_context_into_a_read_model_of_it() -> None:
    where = "tests.model.test_context: Names"
    assert _problems(_with(projections=[OrderViews, OrderSummaries, Names])) == [
        f"{where} writes orders.v1.OrderState, which is no read model of the context orders; "
        "mark the message with (intent.v1.read_model)",
        f"{where} has version 0; versions begin with 1",
        f"{where} takes orders.v1.OrderView in seen, which is no event of the context orders; "
        "a projection reads the log of its own context",
    ]


def test_a_projection_names_the_key_when_it_is_not_the_aggregates_id() -> None:
    contracts = registry(shop().message("Row", text("a", key=True), text("b", key=True), read_model={}))
    model, event = contracts.read_models["shop.v1.Row"].message, contracts.events["shop.v1.Opened"].message

    def opened(self: Any, row: Any, event: Any) -> None: ...

    opened.__annotations__ = {"row": model, "event": event, "return": type(None)}
    rows = type("Rows", (Projection,), {"read_model": model, "opened": projects(opened)})
    assert any(
        "Rows does not say in opened which row an event concerns: the key is a, b; "
        "say it with key=…, as in @projects(key=…)" in problem
        for problem in _problems(Context("shop", projections=[rows]), contracts)
    )


class Answers(Queries):
    @answers
    async def get_order(self, query: GetOrder) -> OrderSummary: ...  # type: ignore[empty-body]

    @answers
    async def confirm(self, query: ConfirmOrder) -> OrderView: ...  # type: ignore[empty-body]


def test_answers_fit_their_queries() -> None:
    where = "tests.model.test_context: Answers answers"
    assert _problems(_with(queries=Answers)) == [
        "orders/v1/queries.proto: orders.v1.ListOrders has no answer; "
        "add to the context's queries: @answers async def …(self, query: ListOrders) -> OrderList",
        f"{where} orders.v1.GetOrder in get_order with orders.v1.OrderSummary; "
        "return orders.v1.OrderView, as the method /orders.v1.Orders/GetOrder says",
        f"{where} orders.v1.ConfirmOrder in confirm, which is no query of the context orders; "
        "mark the message with (intent.v1.query)",
    ]


def test_queries_without_any_answer_are_refused() -> None:
    problems = _problems(_with(queries=None))
    assert [problem.split()[1] for problem in problems] == ["orders.v1.GetOrder", "orders.v1.ListOrders"]


def test_everything_is_listed_at_once() -> None:
    broken = _with(aggregates=[], projections=[], queries=None, upcasters=[])
    assert len(_problems(broken)) == 6


def test_an_upcaster_of_another_version_than_the_contract_is_refused() -> None:
    ahead: Upcaster[Any, Any] = upcaster(OrderPlaced, OrderPlaced, 2)
    (problem,) = _problems(_with(upcasters=[*orders.upcasters, ahead]))
    assert "makes orders.v1.OrderPlaced version 3, but the contract is at version 2" in problem


def test_installed_contexts_are_found_by_their_entry_points() -> None:
    assert discover()["orders"] is load_context("orders") is orders


def test_an_unknown_context_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match=r"there is no context 'parcels'; installed are: .*orders"):
        load_context("parcels")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("orders.nowhere:context", "the context parcels cannot be loaded from orders.nowhere:context"),
        ("orders.context:nothing", "the context parcels cannot be loaded from orders.context:nothing"),
        ("orders.aggregates:Order", "orders.aggregates:Order is no Context; correct the entry point parcels"),
        ("orders.context:context", "is the context orders, its entry point says parcels; let them agree"),
    ],
)
def test_a_wrong_entry_point_is_an_error_that_names_it(
    monkeypatch: pytest.MonkeyPatch, value: str, message: str
) -> None:
    entry = EntryPoint("parcels", value, "intent.contexts")
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [entry])
    with pytest.raises(ConfigurationError, match=message.replace(".", r"\.")):
        load_context("parcels")


def _fault(contracts: Registry) -> list[str]:
    return [problem for problem in _problems(Context("shop"), contracts) if "may call it" in problem]


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (shop().message("Close", text("id", aggregate_id=True), command={"aggregate": "Cart"}), "command"),
        (
            shop()
            .message("Close", text("id"), query={})
            .method("Close", "shop.v1.Close", "shop.v1.CartView"),
            "query",
        ),
    ],
)
def test_a_command_or_query_that_does_not_say_who_may_call_it_stops_the_start(
    message: Proto, kind: str
) -> None:
    assert _fault(registry(message)) == [
        f"shop/v1/shop.proto: shop.v1.Close does not say who may call it; set `roles` in its option "
        f'(intent.v1.{kind}), e.g. roles: ["service"], or roles: ["*"] if any authenticated caller '
        "may send it"
    ]


def test_a_command_for_any_caller_says_so_and_names_no_other_role() -> None:
    def closing(*roles: str) -> Registry:
        command = {"aggregate": "Cart", "roles": list(roles)}
        return registry(shop().message("Close", text("id", aggregate_id=True), command=command))

    assert _fault(closing("*")) == []
    assert any(
        "names * besides clerk" in problem for problem in _problems(Context("shop"), closing("*", "clerk"))
    )
