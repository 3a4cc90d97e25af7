"""Every example in a docstring of the platform runs as it stands.

An example is the indented block under a line ``Example::``. It may use the names of `names` without
importing them; whatever else it needs, it imports itself.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
import textwrap
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import intent
import pytest
from intent import model
from intent.client import IntentClient
from intent.model import Saga
from intent.sagas import start_types
from intent.testing import given, projected, reactions, scripted
from intent_contracts.inventory import v1 as inventory_v1
from intent_contracts.orders import v1 as orders_v1
from intent_contracts.payments import v1 as payments_v1
from intent_contracts.shipping import v1 as shipping_v1
from orders.aggregates import Order
from orders.projections import OrderViews
from orders.sagas import FulfilOrder
from shipping.consumers import NoteOrders

_ROOT = Path(intent.__path__[0])
_MARK = "Example::"
_SECTIONS = re.compile(r"(Args|Attributes|Raises|Returns|Yields):")
_CODE = re.compile(r"@\w|class \w+(\(.*\))?:|(async )?def \w+\(|from [\w.]+ import |import [\w.]+$|>>> ")
_SUM = orders_v1.Money(minor_units=500, currency="EUR")
_LINE = orders_v1.OrderLine(line_id="a", sku="tea", quantity=1, unit_price=_SUM)
_CHECKOUT = orders_v1.Checkout(
    card_token="tok-ok",
    warehouse_id="w-1",
    ship_to=orders_v1.Receiver(name="Ann", street="Elm 1", postal_code="10115", city="Berlin", country="DE"),
)


def names() -> dict[str, object]:
    """Return the names that examples may use without an import, new for each example."""
    of_the_model = {name: getattr(model, name) for name in model.__all__}
    messages = {
        name: getattr(contracts, name)
        for contracts, listed in (
            (inventory_v1, "ReleaseStock ReserveStock"),
            (
                orders_v1,
                "AbandonOrder CheckoutStarted ConfirmOrder GetOrder OrderCompleted OrderConfirmed "
                "OrderPlaced OrderState OrderStatus OrderView PlaceOrder Reason",
            ),
            (payments_v1, "AuthorizePayment CancelPayment CapturePayment PaymentDeclined"),
            (shipping_v1, "NoteOrder ParcelDelivered ParcelHandedOver"),
        )
        for name in listed.split()
    }
    return {
        **of_the_model,
        **messages,
        "asyncio": asyncio,
        "timedelta": timedelta,
        # How authors test.
        "given": given,
        "projected": projected,
        "reactions": reactions,
        "scripted": scripted,
        # The contexts of this repository.
        "FulfilOrder": FulfilOrder,
        "NoteOrders": NoteOrders,
        "Order": Order,
        "OrderViews": OrderViews,
        "placed": orders_v1.OrderPlaced(customer_id="ann", lines=[_LINE], currency="EUR", total=_SUM),
        "confirmed": orders_v1.OrderConfirmed(total=_SUM),
        "checkout": orders_v1.CheckoutStarted(
            customer_id="ann", lines=[_LINE], total=_SUM, checkout=_CHECKOUT
        ),
    }


class Docstring(NamedTuple):
    """One docstring.

    Attributes:
        owner: The module, class or function that it belongs to.
        lines: Its lines, without the indentation that all of them share.
    """

    owner: str
    lines: list[str]


def _docstrings() -> Iterator[Docstring]:
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    for path in sorted(_ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, kinds) and (text := ast.get_docstring(node)):
                owner = f"{path.relative_to(_ROOT)}:{getattr(node, 'name', '')}".rstrip(":")
                yield Docstring(owner, text.splitlines())


def _blocks(docstring: Docstring) -> Iterator[tuple[str, str]]:
    """Yield each indented block after an empty line, with the line above that says what it is."""
    above, block = "", list[str]()
    for line in [*docstring.lines, "end"]:
        if not line or line.startswith(" "):
            block.append(line)
            continue
        if any(block) and not block[0] and not _SECTIONS.match(above):
            yield above, textwrap.dedent("\n".join(block)).strip("\n")
        above, block = line, []


EXAMPLES = [
    pytest.param(code, id=docstring.owner)
    for docstring in _docstrings()
    for above, code in _blocks(docstring)
    if above == _MARK
]


def _run(code: str, scope: dict[str, object]) -> None:
    compiled = compile(code, "example", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    if not compiled.co_flags & inspect.CO_COROUTINE:
        exec(compiled, scope)
        return

    async def run() -> None:
        # Nobody listens there: an example may make calls, but none may have to succeed.
        nobody = "localhost:1"
        async with IntentClient.connect(nobody) as orders, IntentClient.connect(nobody) as shipping:
            await eval(compiled, scope | {"orders": orders, "shipping": shipping})

    asyncio.run(run())


@pytest.mark.parametrize("code", EXAMPLES)
def test_an_example_runs(code: str) -> None:
    scope = names()
    known = set(scope)
    _run(code, scope)
    for name in set(scope) - known:
        _check_declaration(scope[name])


def _check_declaration(declared: object) -> None:
    """Assert that a class of an example is declared as the platform wants it."""
    assert [str(problem) for problem in getattr(declared, "declaration_problems", ())] == []
    if isinstance(declared, type) and issubclass(declared, Saga):
        assert start_types(declared)


def test_every_example_is_marked_as_one() -> None:
    unmarked = [
        f"{docstring.owner}: {code.splitlines()[0]}"
        for docstring in _docstrings()
        for above, code in _blocks(docstring)
        if above != _MARK
    ]
    flat = [
        f"{docstring.owner}: {line}"
        for docstring in _docstrings()
        for line in docstring.lines
        if _CODE.match(line)
    ]
    assert unmarked == [], f"put a line {_MARK} above them"
    assert flat == [], f"indent them below a line {_MARK}"


def test_examples_are_found() -> None:
    assert len(EXAMPLES) > 10
