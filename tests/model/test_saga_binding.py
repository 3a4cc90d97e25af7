"""What a context must declare so that its sagas fit their contracts."""

from __future__ import annotations

import dataclasses

import pytest
from intent.contracts import Registry
from intent.errors import ContractError
from intent.model import Context
from intent.sagas import Port, Saga
from intent_contracts.orders.v1 import CheckoutStarted, OrderPlaced, OrderView
from orders.context import context
from orders.sagas import FulfilOrder


class Untyped(Saga):
    name = "FulfilOrder"

    async def run(self, started) -> None:  # type: ignore[no-untyped-def]
        """Does not say what starts it."""


class StartedByAnother(Saga):
    name = "FulfilOrder"

    async def run(self, placed: OrderPlaced) -> None:
        """Is started by an event that its contract does not name."""


class Unknown(Saga):
    async def run(self, started: CheckoutStarted) -> None:
        """Has no contract."""


def problems(changed: Context) -> str:
    with pytest.raises(ContractError) as refused:
        changed.bind(Registry.load())
    return str(refused.value)


def test_a_contract_needs_its_class() -> None:
    assert "orders.v1.FulfilOrder has no saga class; name a class FulfilOrder in" in problems(
        dataclasses.replace(context, sagas=())
    )


def test_a_class_needs_its_contract() -> None:
    said = problems(dataclasses.replace(context, sagas=(FulfilOrder, Unknown)))
    assert "Unknown is no saga of the context orders; mark a message Unknown" in said


def test_a_saga_has_one_class() -> None:
    assert "is a second class of orders.v1.FulfilOrder" in problems(
        dataclasses.replace(context, sagas=(FulfilOrder, StartedByAnother))
    )


def test_run_and_contract_agree_on_what_starts_it() -> None:
    said = problems(dataclasses.replace(context, sagas=(StartedByAnother,)))
    assert "takes orders.v1.OrderPlaced in run, but is started by orders.v1.CheckoutStarted" in said
    assert "does not say what it is started by" in problems(dataclasses.replace(context, sagas=(Untyped,)))


def test_a_port_has_one_adapter_that_can_be_awaited() -> None:
    port = Port("ask", OrderView, OrderView)

    async def answer(request: OrderView) -> OrderView:
        return request

    def blocking(request: OrderView) -> OrderView:
        return request

    said = problems(dataclasses.replace(context, ports=(port.served_by(answer), port.served_by(blocking))))  # type: ignore[arg-type]
    assert "has two adapters of the port ask" in said
    assert "that is no coroutine function" in said
