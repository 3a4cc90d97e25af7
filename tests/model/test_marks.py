"""Handlers of every kind are found by one rule, and every contradiction is reported at once.

The classes of this module are wrong in every way that is foreseen; that it can be imported at all is
part of what is tested.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from intent.client import ConsumerRunner
from intent.contracts import Registry
from intent.errors import ContractError
from intent.model import (
    Aggregate,
    Consumer,
    EventMetadata,
    Projection,
    Queries,
    Saga,
    answers,
    applies,
    consumes,
    handles,
    projects,
)
from intent.testing import projected, reactions
from intent_contracts.orders.v1 import (
    CheckoutStarted,
    ConfirmOrder,
    GetOrder,
    LineChanged,
    ListOrders,
    OrderCancelled,
    OrderConfirmed,
    OrderList,
    OrderPlaced,
    OrderState,
    OrderSummary,
    OrderView,
    PlaceOrder,
)
from orders.context import context as orders

if TYPE_CHECKING:
    from intent_contracts.orders.v1 import OrderShipped

REGISTRY = Registry.load()


class FaultyOrder(Aggregate[OrderState]):
    name = "Order"

    @handles
    def place(self, command: PlaceOrder) -> None: ...

    @handles
    def place_again(self, command: PlaceOrder) -> None: ...

    @handles
    def untyped(self, command) -> None: ...  # type: ignore[no-untyped-def]

    @handles  # type: ignore[type-var]
    def number(self, command: int) -> None: ...

    @handles  # type: ignore[type-var]
    async def waits(self, command: ConfirmOrder) -> None: ...

    @applies  # type: ignore[arg-type]
    def too_much(self, event: OrderCancelled, more: int) -> None: ...

    @applies  # type: ignore[arg-type]
    def too_little() -> None: ...  # type: ignore[misc]

    @applies
    def unknown(self, event: OrderShipped) -> None: ...

    @applies  # type: ignore[arg-type]
    def named(self, *, event: OrderConfirmed) -> None: ...

    @handles  # type: ignore[arg-type, prop-decorator, misc]
    @property
    def a_property(self) -> None: ...

    @property  # type: ignore[misc]
    @handles  # type: ignore[arg-type]
    def another_property(self) -> None: ...

    @staticmethod
    @applies  # type: ignore[arg-type]
    def a_static(event: LineChanged) -> None: ...

    @projects
    def misplaced(self, view: OrderView, event: OrderPlaced) -> None: ...

    a_value = handles(3)  # type: ignore[arg-type, var-annotated]


class Stateless(Aggregate):  # type: ignore[type-arg]
    pass


class FaultyViews(Projection[OrderView]):
    @projects
    def placed(self, view: OrderView, event: OrderPlaced) -> None: ...

    @projects
    def placed_again(self, view: OrderView, event: OrderPlaced) -> None: ...

    @projects
    def untyped(self, view: OrderView, event) -> None: ...  # type: ignore[no-untyped-def]

    @projects
    def anything(self, view: OrderView, event: Any) -> None: ...

    @projects
    async def waits(self, view: OrderView, event: OrderConfirmed) -> None: ...

    @projects
    def too_little(self, event: OrderCancelled) -> None: ...

    @projects
    def unknown(self, view: OrderView, event: OrderShipped) -> None: ...

    @projects
    def another_row(self, view: OrderSummary, event: LineChanged) -> None: ...

    @projects
    def not_metadata(self, view: OrderView, event: CheckoutStarted, meta: int) -> None: ...

    @projects(key=lambda event, meta: "all")
    @classmethod
    def a_class_method(cls, view: OrderView, event: OrderPlaced) -> None: ...

    @consumes
    def misplaced(self, event: OrderPlaced) -> None: ...


class Modelless(Projection):  # type: ignore[type-arg]
    @projects
    def placed(self, view: OrderView, event: OrderPlaced) -> None: ...


class FaultyQueries(Queries):
    @answers
    async def get(self, query: GetOrder) -> OrderView: ...  # type: ignore[empty-body, override]

    @answers
    async def get_again(self, query: GetOrder) -> OrderView: ...  # type: ignore[empty-body]

    @answers  # type: ignore[type-var]
    def blocking(self, query: ListOrders) -> OrderList: ...  # type: ignore[empty-body]

    @answers
    async def too_much(self, query: ListOrders, more: int) -> OrderList: ...  # type: ignore[empty-body]

    @answers
    async def untyped(self, query) -> OrderList: ...  # type: ignore[no-untyped-def, empty-body]

    @answers
    async def says_nothing(self, query: ListOrders): ...  # type: ignore[no-untyped-def]

    @answers
    async def unknown(self, query: ListOrders) -> OrderShipped: ...  # type: ignore[empty-body]

    @answers  # type: ignore[prop-decorator, type-var]
    @functools.cached_property
    def cached(self) -> OrderView: ...  # type: ignore[empty-body]

    @handles
    def misplaced(self, command: PlaceOrder) -> None: ...


class FaultyConsumer(Consumer):
    name = "Faulty Consumer"

    @consumes
    def placed(self, event: OrderPlaced) -> None: ...

    @consumes
    async def placed_again(self, event: OrderPlaced) -> None: ...

    @consumes
    def untyped(self, event) -> None: ...  # type: ignore[no-untyped-def]

    @consumes
    def too_much(self, event: OrderCancelled, meta: EventMetadata, more: int) -> None: ...

    @consumes
    def unknown(self, event: OrderShipped) -> None: ...

    @consumes
    def not_metadata(self, event: OrderConfirmed, meta: OrderView) -> None: ...

    @consumes
    class Inner:
        pass

    @answers
    async def misplaced(self, query: GetOrder) -> OrderView: ...  # type: ignore[empty-body]


class Nameless(Consumer):
    @consumes
    def placed(self, event: OrderPlaced) -> None: ...


class FulfilOrder(Saga):
    def run(self, started: CheckoutStarted) -> None:  # type: ignore[override]
        """Waits for nothing."""

    @consumes
    def misplaced(self, event: OrderPlaced) -> None: ...


FAULTY = replace(
    orders,
    aggregates=[FaultyOrder, Stateless],
    projections=[FaultyViews, Modelless],
    queries=FaultyQueries,
    consumers=[FaultyConsumer, Nameless],
    sagas=[FulfilOrder],
)
EXPECTED = [
    "FaultyConsumer has the name 'Faulty Consumer'; "
    "give it a name of lower-case letters, digits and '._-', beginning with a letter, e.g. name = "
    '"shipping.known-orders"',
    "FaultyConsumer.Inner is marked with @consumes, but is no method (its type is type); "
    "mark a plain method, whose first parameter is self",
    "FaultyConsumer.misplaced is marked with @answers, which has no meaning in its class; "
    "use @consumes here, or move it to another class",
    "FaultyConsumer.not_metadata takes no metadata: 'meta' is annotated with OrderView; "
    "annotate the parameter 'meta' with EventMetadata",
    "FaultyConsumer.placed_again takes orders.v1.OrderPlaced, which FaultyConsumer.placed takes already; "
    "leave one of the two",
    "FaultyConsumer.too_much takes 3 parameters besides self; "
    "let it take the event and, if wanted, the metadata",
    "FaultyConsumer.unknown has an annotation that cannot be evaluated (name 'OrderShipped' is not defined); "
    "correct it, and import what it names at the top of the module",
    "FaultyConsumer.untyped does not say which event it takes: 'event' has no annotation; "
    "annotate the parameter 'event' with a message imported at the top of the module",
    "FaultyOrder.a_property is marked with @handles, but is no method (its type is property); "
    "mark a plain method, whose first parameter is self",
    "FaultyOrder.a_static is marked with @applies, but is no method (its type is staticmethod); "
    "mark a plain method, whose first parameter is self",
    "FaultyOrder.a_value is marked with @handles, but is no method (its type is int); "
    "mark a plain method, whose first parameter is self",
    "FaultyOrder.another_property is marked with @handles, but is no method (its type is property); "
    "mark a plain method, whose first parameter is self",
    "FaultyOrder.misplaced is marked with @projects, which has no meaning in its class; "
    "use @handles or @applies here, or move it to another class",
    "FaultyOrder.named has parameters that are not positional (event: 'OrderConfirmed'); "
    "let it take the event and nothing else",
    "FaultyOrder.number does not say which command it takes: 'command' is annotated with int; "
    "annotate the parameter 'command' with a message imported at the top of the module",
    "FaultyOrder.place_again takes orders.v1.PlaceOrder, which FaultyOrder.place takes already; "
    "leave one of the two",
    "FaultyOrder.too_little takes 0 parameters besides self; let it take the event and nothing else",
    "FaultyOrder.too_much takes 2 parameters besides self; let it take the event and nothing else",
    "FaultyOrder.unknown has an annotation that cannot be evaluated (name 'OrderShipped' is not defined); "
    "correct it, and import what it names at the top of the module",
    "FaultyOrder.untyped does not say which command it takes: 'command' has no annotation; "
    "annotate the parameter 'command' with a message imported at the top of the module",
    "FaultyOrder.waits is an async def, which nobody awaits; "
    "make it a plain def, which does no input and output",
    "FaultyQueries.blocking is no coroutine function; make it an async def",
    "FaultyQueries.cached is marked with @answers, but is no method (its type is cached_property); "
    "mark a plain method, whose first parameter is self",
    "FaultyQueries.get_again takes orders.v1.GetOrder, which FaultyQueries.get takes already; "
    "leave one of the two",
    "FaultyQueries.misplaced is marked with @handles, which has no meaning in its class; "
    "use @answers here, or move it to another class",
    "FaultyQueries.says_nothing does not say what it answers with; "
    "annotate what it returns with a message imported at the top of the module",
    "FaultyQueries.says_nothing takes orders.v1.ListOrders, which FaultyQueries.blocking takes already; "
    "leave one of the two",
    "FaultyQueries.too_much takes 2 parameters besides self; let it take the query and nothing else",
    "FaultyQueries.unknown has an annotation that cannot be evaluated (name 'OrderShipped' is not defined); "
    "correct it, and import what it names at the top of the module",
    "FaultyQueries.untyped does not say which query it takes: 'query' has no annotation; "
    "annotate the parameter 'query' with a message imported at the top of the module",
    "FaultyViews.a_class_method is marked with @projects, but is no method (its type is classmethod); "
    "mark a plain method, whose first parameter is self",
    "FaultyViews.another_row takes a row of orders.v1.OrderSummary; "
    "annotate the row with orders.v1.OrderView, the read model of its class",
    "FaultyViews.anything does not say which event it takes: 'event' is annotated with Any; "
    "annotate the parameter 'event' with a message imported at the top of the module",
    "FaultyViews.misplaced is marked with @consumes, which has no meaning in its class; "
    "use @projects here, or move it to another class",
    "FaultyViews.not_metadata takes no metadata: 'meta' is annotated with int; "
    "annotate the parameter 'meta' with EventMetadata",
    "FaultyViews.placed_again takes orders.v1.OrderPlaced, which FaultyViews.placed takes already; "
    "leave one of the two",
    "FaultyViews.too_little takes 1 parameter besides self; "
    "let it take the row, the event and, if wanted, the metadata",
    "FaultyViews.unknown has an annotation that cannot be evaluated (name 'OrderShipped' is not defined); "
    "correct it, and import what it names at the top of the module",
    "FaultyViews.untyped does not say which event it takes: 'event' has no annotation; "
    "annotate the parameter 'event' with a message imported at the top of the module",
    "FaultyViews.waits is an async def, which nobody awaits; "
    "make it a plain def, which does no input and output",
    "FulfilOrder.misplaced is marked with @consumes, which has no meaning in its class; remove the mark",
    "FulfilOrder.run is no coroutine function; make it an async def",
    "Modelless does not name its read model; name the message of a row, as in Projection[OrderView]",
    "Nameless has no name; "
    "give it a name of lower-case letters, digits and '._-', beginning with a letter, e.g. name = "
    '"shipping.known-orders"',
    "Stateless does not name its state; name the message of its state, as in Aggregate[OrderState]",
    "Stateless is the aggregate Stateless, for which there is no state in the contracts; "
    'mark its state with (intent.v1.state) = {aggregate: "Stateless"}',
]


def _problems() -> list[str]:
    with pytest.raises(ContractError) as raised:
        FAULTY.bind(REGISTRY)
    return list(raised.value.problems)


def test_every_contradiction_of_every_kind_of_class_is_reported_at_once() -> None:
    here = f"{__name__}: "
    assert [problem.removeprefix(here) for problem in _problems() if problem.startswith(here)] == EXPECTED


def test_the_fault_of_an_inherited_method_is_reported_where_the_method_is_written() -> None:
    class Inheriting(FaultyViews):
        pass

    assert set(Inheriting.declaration_problems) == set(FaultyViews.declaration_problems)


def test_an_annotation_that_is_no_expression_is_reported_too() -> None:
    def placed(self: object, view: OrderView, event: object) -> None: ...

    placed.__annotations__["event"] = "no expression"
    views = type("Malformed", (Projection,), {"read_model": OrderView, "placed": projects(placed)})
    (problem,) = views.declaration_problems  # type: ignore[attr-defined]
    assert "has an annotation that cannot be evaluated" in problem.fault


@pytest.mark.parametrize(
    "use",
    [
        lambda: projected(FaultyViews, "o-1", OrderPlaced()),
        lambda: reactions(FaultyConsumer, "o-1", OrderPlaced()),
        lambda: ConsumerRunner(FaultyConsumer(), None),  # type: ignore[arg-type]
    ],
)
def test_a_class_that_is_used_without_a_context_is_refused_too(use: Callable[[], object]) -> None:
    with pytest.raises(ContractError, match="takes already"):
        use()
