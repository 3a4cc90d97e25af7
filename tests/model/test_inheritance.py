"""Classes find the handlers that they inherit, whatever kind they are."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest
from intent.model import (
    Aggregate,
    Consumer,
    Projection,
    Queries,
    answers,
    consumes,
    handles,
    projects,
)
from intent_contracts.orders.v1 import (
    CancelOrder,
    GetOrder,
    LineChanged,
    ListOrders,
    OrderCancelled,
    OrderList,
    OrderPlaced,
    OrderState,
    OrderView,
    PlaceOrder,
)


class PlacingMixin:
    """Marks without being a class that has handlers itself; the same goes for the other mixins."""

    @handles
    def place(self, command: PlaceOrder) -> None: ...

    @handles
    def cancel(self, command: CancelOrder) -> None: ...


class ViewMixin:
    @projects
    def placed(self, view: Any, event: OrderPlaced) -> None: ...

    @projects
    def cancelled(self, view: Any, event: OrderCancelled) -> None: ...


class AnswerMixin:
    @answers
    async def get_order(self, query: GetOrder) -> OrderView:
        return OrderView()

    @answers
    async def list_orders(self, query: ListOrders) -> OrderList:
        return OrderList()


class ConsumeMixin:
    @consumes
    def placed(self, event: OrderPlaced) -> None: ...

    @consumes
    def cancelled(self, event: OrderCancelled) -> None: ...


class Placing(PlacingMixin, Aggregate[OrderState]):
    @handles
    def place(self, command: PlaceOrder) -> None: ...

    def cancel(self, command: CancelOrder) -> None: ...


class Views(ViewMixin, Projection[OrderView]):
    @projects
    def placed(self, view: OrderView, event: OrderPlaced) -> None: ...

    def cancelled(self, view: Any, event: OrderCancelled) -> None: ...


class Answers(AnswerMixin, Queries):
    @answers
    async def get_order(self, query: GetOrder) -> OrderView:
        return OrderView()

    async def list_orders(self, query: ListOrders) -> OrderList:
        return OrderList()


class Consumes(ConsumeMixin, Consumer):
    name = "shipping.inheriting"

    @consumes
    def placed(self, event: OrderPlaced) -> None: ...

    def cancelled(self, event: OrderCancelled) -> None: ...


@pytest.mark.parametrize(
    ("cls", "handlers", "overriding"),
    [
        (Placing, Placing.command_handlers, Placing.place),
        (Views, {type_: each.method for type_, each in Views.handlers.items()}, Views.placed),
        (Answers, {type_: each.method for type_, each in Answers.handlers.items()}, Answers.get_order),
        (Consumes, {type_: each.method for type_, each in Consumes.handlers.items()}, Consumes.placed),
    ],
)
def test_an_inherited_handler_is_replaced_by_a_marked_method_and_removed_by_an_unmarked_one(
    cls: Any, handlers: dict[str, Callable[..., Any]], overriding: Callable[..., Any]
) -> None:
    assert list(handlers.values()) == [overriding]
    assert list(cls.declaration_problems) == []


def test_an_inherited_handler_is_a_handler() -> None:
    class More(Views):
        @projects
        def changed(self, view: OrderView, event: LineChanged) -> None: ...

    assert set(More.handlers) == {"orders.v1.OrderPlaced", "orders.v1.LineChanged"}
    assert set(Views.handlers) == {"orders.v1.OrderPlaced"}, "a subclass does not change its base"


def test_a_subclass_may_not_handle_a_message_that_an_inherited_method_handles() -> None:
    class Twice(Views):
        @projects
        def placed_again(self, view: OrderView, event: OrderPlaced) -> None: ...

    (problem,) = Twice.declaration_problems
    assert problem.fault == "takes orders.v1.OrderPlaced, which Views.placed takes already"


def test_a_mark_is_found_below_other_decorators() -> None:
    def passing_on(method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def call(*arguments: Any) -> Any:
            return method(*arguments)

        return call

    class Decorated(Queries):
        @passing_on
        @answers
        async def above(self, query: GetOrder) -> OrderView:
            return OrderView()

        @answers
        @passing_on
        async def below(self, query: ListOrders) -> OrderList:
            return OrderList()

    assert set(Decorated.handlers) == {"orders.v1.GetOrder", "orders.v1.ListOrders"}
    assert list(Decorated.declaration_problems) == []
