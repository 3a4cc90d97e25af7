"""A rejection that the contract does not declare, in a process on a real PostgreSQL and Temporal."""

from __future__ import annotations

import asyncio
import dataclasses
import urllib.request

import pytest
from intent.contracts import Registry
from intent.errors import Rejected
from intent.model import handles
from intent.process.assembly import ContextProcess
from intent.process.sockets import free_port
from intent.settings.config import Settings
from intent_contracts.orders.v1 import ConfirmOrder, OrderConfirmed
from orders.aggregates import Order
from orders.context import context

from ..support.command_path import Requests, place


class Drifting(Order):
    """An order that is refused its confirmation for a reason that no contract declares."""

    name = "Order"

    @handles
    def confirm(self, command: ConfirmOrder) -> OrderConfirmed:
        self.reject("ORDER_STALE", "order {id} is stale")


async def test_the_caller_gets_it_and_the_operator_sees_it(settings: Settings, request_of: Requests) -> None:
    port = free_port()
    drifting = dataclasses.replace(context, aggregates=[Drifting]).bind(Registry.load())
    process = ContextProcess(settings.model_copy(update={"metrics_port": port}), drifting)
    async with process.started() as path:
        await path.router.handle(request_of(place("o-1")))
        with pytest.raises(Rejected) as rejected:
            await path.router.handle(request_of(ConfirmOrder(order_id="o-1")))
        metrics = await asyncio.to_thread(_text, f"http://127.0.0.1:{port}/metrics")
    assert rejected.value.reason == "ORDER_STALE"
    counted = 'intent_undeclared_rejections_total{command="orders.v1.ConfirmOrder",reason="ORDER_STALE"} 1.0'
    assert counted in metrics


def _text(url: str) -> str:
    with urllib.request.urlopen(url, timeout=30) as answer:
        text: str = answer.read().decode()
    return text
