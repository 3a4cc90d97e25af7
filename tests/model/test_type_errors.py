"""The type checker refuses what a context author can get wrong, before any test runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from mypy import api

ROOT = Path(__file__).parents[2]
SOURCE = """
from intent.model import Aggregate, Context, Projection, applies, follows, handles, upcasts
from intent.testing import given
from intent_contracts.orders.v1 import (
    ConfirmOrder, OrderConfirmed, OrderPlaced, OrderShipped, OrderState, OrderStatus, OrderView
)

class Good(Aggregate[OrderState]):
    @handles
    def confirm(self, command: ConfirmOrder) -> OrderConfirmed | None:
        self.reject_if(self.state.customer_id == "bob", "NO_BOB", "{id} is not for bob")
        return OrderConfirmed(total=self.state.total)

    @handles
    def place(self, command: ConfirmOrder) -> list[OrderConfirmed]:
        if self.command.actor == "bob":
            self.reject("NO_BOB", "{id} is not for bob", actor=self.command.actor)
        else:
            return [OrderConfirmed()]

    @applies
    def confirmed(self, event: OrderConfirmed) -> None:
        self.state.total.CopyFrom(event.total)

class Bad(Aggregate[OrderState]):
    @handles  # error: type-var
    def number(self, command: int) -> OrderConfirmed:
        return OrderConfirmed()

    @handles  # error: type-var
    def text(self, command: ConfirmOrder) -> str:
        return ""

    @applies  # error: arg-type
    def decides(self, event: OrderConfirmed) -> OrderConfirmed:
        self.state.nothing = 1  # error: attr-defined
        return event

@upcasts(from_version=1)  # error: type-var
def untyped(old: int) -> OrderPlaced:
    return OrderPlaced()

class Views(Projection[OrderView]):
    status = follows(
        "status",
        {OrderPlaced: OrderStatus.ORDER_STATUS_OPEN, OrderConfirmed: OrderStatus.ORDER_STATUS_CONFIRMED},
    )
    reason = follows("cancel_reason", {OrderShipped: ""})
    no_event = follows("status", {OrderStatus.ORDER_STATUS_OPEN: OrderPlaced})  # error: dict-item
    no_class = follows("status", {OrderPlaced(): OrderStatus.ORDER_STATUS_OPEN})  # error: dict-item
    mixed = follows("status", {OrderPlaced: 1, OrderConfirmed: "open"})  # error: type-var
    no_value = follows("status", {OrderPlaced: OrderStatus})  # error: type-var
    no_field = follows(OrderView, {OrderPlaced: OrderStatus.ORDER_STATUS_OPEN})  # error: arg-type

Context("orders", aggregates=[OrderState])  # error: list-item
given(Good, "o-1").when("confirm")  # error: arg-type
"""


@pytest.fixture(scope="module")
def errors(tmp_path_factory: pytest.TempPathFactory) -> dict[int, str]:
    """Return the code of the error that mypy reports, by line."""
    file = tmp_path_factory.mktemp("types") / "snippet.py"
    file.write_text(SOURCE)
    config = str(ROOT / "pyproject.toml")
    cache = str(ROOT / ".mypy_cache")
    paths = [str(ROOT / part) for part in ("shared", "proto/src")]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        patch.setenv("MYPYPATH", ":".join(paths))
        out, _, _ = api.run([str(file), "--config-file", config, "--cache-dir", cache, "--no-error-summary"])
    found = re.findall(r"snippet\.py:(\d+): error: .*\[([a-z-]+)\]", out)
    return {int(line): code for line, code in found}


def test_the_type_checker_refuses_exactly_what_is_wrong(errors: dict[int, str]) -> None:
    lines = enumerate(SOURCE.splitlines(), start=1)
    assert errors == {n: line.partition("# error: ")[2] for n, line in lines if "# error: " in line}
