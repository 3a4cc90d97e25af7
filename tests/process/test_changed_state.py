"""A handler that changes state in place, in a process on a real PostgreSQL and Temporal."""

from __future__ import annotations

import asyncio
import dataclasses
import urllib.request

import pytest
from intent.contracts import Registry
from intent.errors import HandlerFailed
from intent.model import handles
from intent.process.assembly import ContextProcess
from intent.process.sockets import free_port
from intent.settings.config import Settings
from intent_contracts.orders.v1 import ChangeLine, ConfirmOrder, LineChanged, OrderConfirmed
from orders.aggregates import Order
from orders.context import context

from ..support.command_path import Requests, place


class Meddling(Order):
    """An order that takes a piece off a line when it is confirmed."""

    name = "Order"

    @handles
    def confirm(self, command: ConfirmOrder) -> OrderConfirmed:
        self.state.lines[0].quantity -= 1
        return OrderConfirmed(total=self.state.total)

    @handles
    def change_line(self, command: ChangeLine) -> LineChanged | None:
        self.reject_if(self.state.lines[0].quantity < 1, "ORDER_LINE_NOT_FOUND", "nothing is left")
        return None


def process(settings: Settings, **changes: object) -> ContextProcess:
    meddling = dataclasses.replace(context, aggregates=[Meddling]).bind(Registry.load())
    return ContextProcess(settings.model_copy(update=changes), meddling)


async def test_in_development_the_caller_reads_what_was_changed(
    settings: Settings, request_of: Requests
) -> None:
    async with process(settings).started() as path:
        await path.router.handle(request_of(place("o-1")))
        with pytest.raises(HandlerFailed, match="only appliers may change it") as failed:
            await path.router.handle(request_of(ConfirmOrder(order_id="o-1")))
    assert "-     quantity: 1" in failed.value.message


async def test_in_production_the_next_command_finds_what_the_events_say(
    settings: Settings, request_of: Requests
) -> None:
    port = free_port()
    async with process(settings, dev=False, metrics_port=port).started() as path:
        await path.router.handle(request_of(place("o-1")))
        confirmed = await path.router.handle(request_of(ConfirmOrder(order_id="o-1")))
        change = ChangeLine(order_id="o-1", line_id="1", quantity=5)
        assert (await path.router.handle(request_of(change))).version == confirmed.version == 2
        metrics = await asyncio.to_thread(_text, f"http://127.0.0.1:{port}/metrics")
    assert 'intent_changed_states_total{command="orders.v1.ConfirmOrder"} 1.0' in metrics


def _text(url: str) -> str:
    with urllib.request.urlopen(url, timeout=30) as answer:
        text: str = answer.read().decode()
    return text
