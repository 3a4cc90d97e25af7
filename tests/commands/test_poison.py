"""A command whose handler hangs or raises anything at all costs itself; the others of its batch go on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from uuid import UUID, uuid4

import pytest
from intent.commands import AggregateCache, CommandHandling
from intent.contracts import Registry
from intent.errors import StoreUnavailable
from intent.guarding import Doubts, Guard, UnderWay
from intent.model import BoundContext, applies, handles
from intent.store.memory import MemoryEventStore
from intent_contracts.orders.v1 import ChangeLine, ConfirmOrder, OrderConfirmed, OrderPlaced
from orders.aggregates import Order
from orders.context import context as orders

from ..support.command_path import place
from ..support.harm import HARM, MemoryDoubts
from .test_handling import envelope, shown

LIMIT = 0.3


def poisoned(act: Callable[[], None]) -> BoundContext:
    class Poisoned(Order):
        name = "Order"

        @handles
        def confirm(self, command: ConfirmOrder) -> OrderConfirmed:
            act()
            return OrderConfirmed()

    return dataclasses.replace(orders, aggregates=[Poisoned]).bind(Registry.load())


def handling(context: BoundContext, store: MemoryEventStore, doubts: Doubts | None = None) -> CommandHandling:
    return CommandHandling(context, store, AggregateCache(), guard=Guard(LIMIT, doubts=doubts))


@pytest.mark.parametrize(
    ("kind", "cached"), [*((kind, False) for kind in HARM), ("SystemExit", True), ("loop", True)]
)
async def test_a_handler_costs_its_own_command_only(kind: str, cached: bool) -> None:
    store = MemoryEventStore()
    commands = handling(poisoned(HARM[kind]), store)
    if cached:
        await commands.handle([envelope(place("o-1"))])
    handled = await commands.handle(
        [
            envelope(place("before")),
            *([] if cached else [envelope(place("o-1"))]),
            envelope(ChangeLine(order_id="o-1", line_id="1", quantity=2)),
            envelope(ConfirmOrder(order_id="o-1")),
            envelope(ChangeLine(order_id="o-1", line_id="1", quantity=3)),
            envelope(place("after"), tenant="globex"),
        ],
        "workflow",
    )
    placed = [] if cached else ["v1"]
    assert shown(handled) == ["v1", *placed, "v2", "INTERNAL", "v3", "v1"]
    assert handled.recorded.count(False) == 1


async def test_the_caller_is_told_that_it_took_too_long() -> None:
    commands = handling(poisoned(HARM["loop"]), MemoryEventStore())
    handled = await commands.handle([envelope(place("o-1")), envelope(ConfirmOrder(order_id="o-1"))])
    assert f"it took longer than {LIMIT} s" in handled.outcomes[1].failure.message


async def test_a_batch_of_commands_that_hang_is_not_begun_again_and_again() -> None:
    """As the activity is repeated when all of them together take longer than it may."""
    tries: list[None] = []

    def act() -> None:
        tries.append(None)
        HARM["loop"]()

    commands = handling(poisoned(act), MemoryEventStore())
    batch = [envelope(place("o-1")), envelope(ConfirmOrder(order_id="o-1"))]
    for _ in range(2):
        assert shown(await commands.handle(batch, "workflow"))[1] == "INTERNAL"
    first = len(tries)
    await commands.handle(batch, "another")
    assert len(tries) > first


async def test_an_applier_that_hangs_while_an_order_is_restored_costs_its_commands_only() -> None:
    class Slow(Order):
        name = "Order"

        @applies
        def placed(self, event: OrderPlaced) -> None:
            HARM["loop"]()

    store = MemoryEventStore()
    await handling(orders.bind(Registry.load()), store).handle([envelope(place("o-1"))])
    slow = handling(dataclasses.replace(orders, aggregates=[Slow]).bind(Registry.load()), store)
    handled = await slow.handle([envelope(ConfirmOrder(order_id="o-1")), envelope(place("o-1"))])
    assert shown(handled) == ["INTERNAL", "INTERNAL"]


class TestLosses:
    """What is done with commands that processes died of."""

    @pytest.fixture
    def store(self) -> MemoryEventStore:
        return MemoryEventStore()

    @pytest.fixture
    def doubts(self) -> Doubts:
        return Doubts(MemoryDoubts())

    @pytest.fixture
    def commands(self, store: MemoryEventStore, doubts: Doubts) -> CommandHandling:
        return handling(orders.bind(Registry.load()), store, doubts)

    @staticmethod
    def piece(command_id: UUID) -> UnderWay:
        return UnderWay("command", "orders.v1.PlaceOrder", "acme", str(command_id))

    async def test_a_command_is_given_up_after_three_and_its_neighbours_are_not(
        self, commands: CommandHandling, doubts: Doubts
    ) -> None:
        deadly = uuid4()
        await doubts.lost([self.piece(deadly).note] * 3)
        batch = [envelope(place("o-1"), command_id=deadly), envelope(place("o-2")), envelope(place("o-1"))]
        handled = await commands.handle(batch)
        assert shown(handled) == ["INTERNAL", "v1", "v1"]
        assert "3 processes were lost" in handled.outcomes[0].failure.message

    async def test_one_that_was_recorded_before_keeps_its_outcome(
        self, commands: CommandHandling, doubts: Doubts
    ) -> None:
        recorded = uuid4()
        await commands.handle([envelope(place("o-1"), command_id=recorded)])
        await doubts.lost([self.piece(recorded).note] * 3)
        assert shown(await commands.handle([envelope(place("o-1"), command_id=recorded)])) == ["v1*"]

    async def test_one_that_is_suspected_comes_last_and_is_cleared_when_it_succeeds(
        self, commands: CommandHandling, doubts: Doubts, store: MemoryEventStore
    ) -> None:
        suspect = uuid4()
        await doubts.lost([self.piece(suspect).note])
        batch = [envelope(place("o-1"), command_id=suspect), envelope(place("o-2"))]
        assert shown(await commands.handle(batch)) == ["v1", "v1"]
        assert [entry.aggregate_id for entry in await store.read_log(0, 10)] == ["o-2", "o-1"]
        assert not doubts

    async def test_a_repeat_is_handled_while_the_batch_before_is_tried_a_third_time(
        self, commands: CommandHandling, doubts: Doubts
    ) -> None:
        repeated = uuid4()
        await doubts.lost([self.piece(repeated).note] * 2)
        await doubts.attempt(self.piece(repeated))
        assert shown(await commands.handle([envelope(place("o-1"), command_id=repeated)])) == ["v1"]

    async def test_a_batch_that_was_begun_before_waits_while_one_of_it_is_tried(
        self, commands: CommandHandling, doubts: Doubts
    ) -> None:
        repeated = uuid4()
        note = await doubts.attempt(self.piece(repeated))
        batch = [envelope(place("o-1"), command_id=repeated)]
        with pytest.raises(StoreUnavailable, match="is being tried already"):
            await commands.handle(batch, again=True)
        await doubts.lost([note])
        assert shown(await commands.handle(batch, again=True)) == ["v1"]

    async def test_a_batch_that_was_begun_before_is_noted_command_by_command(
        self, doubts: Doubts, store: MemoryEventStore
    ) -> None:
        noted: list[int] = []
        deadly, dead = uuid4(), uuid4()
        commands = handling(poisoned(lambda: noted.append(doubts.losses(confirm_piece))), store, doubts)
        confirm_piece = UnderWay("command", "orders.v1.ConfirmOrder", "acme", str(deadly))
        await doubts.lost([self.piece(dead).note] * 3)
        batch = [
            envelope(place("o-1")),
            envelope(ConfirmOrder(order_id="o-1"), command_id=deadly),
            envelope(place("o-2"), command_id=dead),
        ]
        handled = await commands.handle(batch, again=True)
        assert shown(handled) == ["v1", "v2", "INTERNAL"]
        assert noted == [1]
        assert doubts.losses(confirm_piece) == 0
        assert shown(await commands.handle(batch, again=True)) == ["v1*", "v2*", "INTERNAL"]
