"""A handler that changes the state of its aggregate in place is found, and corrupts no later decision."""

from __future__ import annotations

import dataclasses
import logging
from typing import Any

import pytest
from intent.commands import AggregateCache, ChangedStates, CommandHandling
from intent.contracts import Registry
from intent.model import BoundContext, StateWatch, applies, handles
from intent.records import StreamKey
from intent.store.memory import MemoryEventStore
from intent_contracts.orders.v1 import (
    ChangeLine,
    ConfirmOrder,
    LineChanged,
    Money,
    OrderConfirmed,
    OrderLine,
    OrderPlaced,
    PlaceOrder,
    ShipOrder,
)
from orders.aggregates import Order
from orders.context import context as orders

from ..support.command_path import place
from .test_handling import envelope, shown

CHANGE = ChangeLine(order_id="o-1", line_id="1", quantity=9)


class Meddling(Order):
    """An order whose handlers do what only appliers may."""

    name = "Order"

    @handles
    def confirm(self, command: ConfirmOrder) -> OrderConfirmed:
        self.state.lines[0].quantity += 1
        self.version += 7
        return OrderConfirmed(total=self.state.total)

    @handles
    def change_line(self, command: ChangeLine) -> LineChanged | None:
        self.state.lines[0].quantity += 1
        self.reject_if(self.state.lines[0].quantity > 9, "ORDER_SHIPPED", "too many")
        return None


def bound(cls: type[Order]) -> BoundContext:
    return dataclasses.replace(orders, aggregates=[cls]).bind(Registry.load())


def quantity(cache: AggregateCache) -> int:
    aggregate = cache.take(StreamKey("acme", "Order", "o-1"))
    assert aggregate is not None
    found: int = aggregate.state.lines[0].quantity
    cache.put(StreamKey("acme", "Order", "o-1"), aggregate)
    return found


async def test_in_development_it_is_the_defect_of_its_command() -> None:
    strict = CommandHandling(
        bound(Meddling), MemoryEventStore(), AggregateCache(), changed=ChangedStates(StateWatch(strict=True))
    )
    handled = await strict.handle(
        [envelope(place("o-1")), envelope(CHANGE), envelope(place("o-2"), tenant="globex")]
    )
    assert shown(handled) == ["v1", "INTERNAL", "v1"]
    told = handled.outcomes[1].failure.message
    assert "the state is not what its events make; only appliers may change it" in told
    assert "-     quantity: 1\n+     quantity: 2" in told
    assert shown(await strict.handle([envelope(CHANGE)])) == ["INTERNAL"]


async def test_in_production_no_later_decision_rests_on_it(caplog: pytest.LogCaptureFixture) -> None:
    cache, counted = AggregateCache(), list[str]()
    handling = CommandHandling(
        bound(Meddling), MemoryEventStore(), cache, changed=ChangedStates(count=counted.append)
    )
    with caplog.at_level(logging.ERROR):
        batch = [envelope(place("o-1")), *(envelope(CHANGE) for _ in range(20))]
        # Each finds a quantity of 1, and none is refused as the tenth would be.
        assert shown(await handling.handle(batch)) == ["v1"] * 21
    assert shown(await handling.handle([envelope(ConfirmOrder(order_id="o-1"))])) == ["v2"]
    assert shown(await handling.handle([envelope(CHANGE)])) == ["v2"]
    assert counted == ["orders.v1.ChangeLine"] * 20 + ["orders.v1.ConfirmOrder", "orders.v1.ChangeLine"]
    logged = [record.getMessage() for record in caplog.records]
    assert len(logged) == 2, "one for each type of command"
    assert "ChangeLine changed state.lines of Order, which only appliers may" in logged[0]
    assert "ConfirmOrder changed version, state.lines of Order" in logged[1]
    assert quantity(cache) == 1


async def test_a_large_state_is_looked_at_now_and_then_and_always_once_it_was_found_out() -> None:
    chances = iter([0.9, 0.9, 0.0001])
    looking = ChangedStates(StateWatch(chance=lambda: next(chances)), (counted := list[str]()).append)
    cache = AggregateCache()
    handling = CommandHandling(bound(Meddling), MemoryEventStore(), cache, changed=looking)
    price = Money(minor_units=1, currency="EUR")
    lines = [OrderLine(line_id=str(n), sku="s" * 60, quantity=1, unit_price=price) for n in range(1, 50)]
    large = PlaceOrder(order_id="o-1", customer_id="ann", lines=lines)
    assert shown(await handling.handle([envelope(large)])) == ["v1"]
    ship = envelope(ShipOrder(order_id="o-1"))
    assert shown(await handling.handle([ship])) == ["ORDER_NOT_CONFIRMED"]
    for unnoticed in (2, 3):
        await handling.handle([envelope(CHANGE)])
        assert quantity(cache) == unnoticed
    assert not counted
    for found in (1, 2):
        await handling.handle([envelope(CHANGE), envelope(CHANGE)])
        assert len(counted) == 2 * found
        assert quantity(cache) == 1


class Innocent(Order):
    name = "Order"

    @handles
    def confirm(self, command: ConfirmOrder) -> OrderConfirmed:
        assert command.order_id in ("o-1", "o-2")
        command.order_id = "another"
        return OrderConfirmed(total=self.state.total)


async def test_a_command_that_its_handler_changed_is_decided_again_as_it_was_sent() -> None:
    store, cache = MemoryEventStore(), AggregateCache()
    one, other = (CommandHandling(bound(Innocent), store, kept) for kept in (cache, AggregateCache()))
    await one.handle([envelope(place("o-1"))])
    await other.handle([envelope(CHANGE)])
    # Decided on a copy that is cached and stale, and once more on one that is loaded.
    request = envelope(ConfirmOrder(order_id="o-1"))
    assert shown(await one.handle([request])) == ["v3"]


class Odd(Order):
    """An order whose confirmation yields the same message twice."""

    name = "Order"

    @handles
    def change_line(self, command: ChangeLine) -> Any:
        event = LineChanged(line_id=command.line_id, quantity=5)

        def changes() -> object:
            yield event
            event.quantity = 6
            yield event

        return changes()

    @applies
    def placed(self, event: OrderPlaced) -> None:
        super().placed(event)
        event.lines[0].quantity = 1_000


async def test_events_are_recorded_and_applied_as_they_were_when_they_were_returned() -> None:
    cache, store = AggregateCache(), MemoryEventStore()
    handling = CommandHandling(bound(Odd), store, cache)
    assert shown(await handling.handle([envelope(place("o-1")), envelope(CHANGE)])) == ["v1", "v3"]
    entries = await store.read_stream(StreamKey("acme", "Order", "o-1"), 1, 10)
    assert [LineChanged.FromString(entry.data).quantity for entry in entries] == [5, 6]
    assert quantity(cache) == 6
