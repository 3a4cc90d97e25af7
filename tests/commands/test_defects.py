"""A defect is of the context, which is an outcome, or of the platform, which is none."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pytest
from intent.commands import AggregateCache, CommandHandling
from intent.contracts import Registry
from intent.errors import Rejected, StoreUnavailable
from intent.model import BoundContext, applies, handles
from intent.store.event_store import AppendResult, StreamAppend
from intent.store.memory import MemoryEventStore
from intent_contracts.intent.v1 import FailureKind
from intent_contracts.orders.v1 import ConfirmOrder, OrderConfirmed, OrderPlaced
from orders.aggregates import Order
from orders.context import context as orders

from ..support.command_path import place
from .test_handling import envelope, shown


@pytest.fixture(scope="module")
def context() -> BoundContext:
    return orders.bind(Registry.load())


class _Unreadable(Order):
    """An order whose events cannot be applied."""

    name = "Order"

    @applies
    def placed(self, event: OrderPlaced) -> None:
        raise ZeroDivisionError("a defect")


async def test_events_that_cannot_be_applied_are_a_defect_of_the_context(
    context: BoundContext,
) -> None:
    store = MemoryEventStore()
    await CommandHandling(context, store, AggregateCache()).handle([envelope(place("o-1"))])
    unreadable = dataclasses.replace(orders, aggregates=[_Unreadable]).bind(Registry.load())
    again = CommandHandling(unreadable, store, AggregateCache())
    assert shown(await again.handle([envelope(ConfirmOrder(order_id="o-1"))])) == ["INTERNAL"]


class _Unlucky(MemoryEventStore):
    """Has a defect that an order meets."""

    async def append(self, streams: Sequence[StreamAppend]) -> AppendResult:
        if any(stream.key.aggregate_id == "o-2" for stream in streams):
            raise KeyError("a defect of the platform")
        return await super().append(streams)


@pytest.fixture
def handling(context: BoundContext) -> CommandHandling:
    return CommandHandling(context, _Unlucky(), AggregateCache())


async def test_what_the_platform_fails_at_is_set_apart_and_retried_there(handling: CommandHandling) -> None:
    batch = [envelope(place(f"o-{number}")) for number in (1, 2, 3)]
    first, apart, last = (await handling.handle(batch, "a-batch")).outcomes
    assert first.HasField("result")
    assert last.HasField("result")
    assert apart.continued_in.startswith("a-batch/")
    for _ in range(3):
        with pytest.raises(KeyError):
            await handling.handle(batch[1:2], apart.continued_in, apart=True)


async def test_what_the_platform_fails_at_is_no_outcome_where_no_workflow_carries_it(
    handling: CommandHandling,
) -> None:
    handled = await handling.handle([envelope(place("o-2"))])
    assert shown(handled) == ["PLATFORM_DEFECT"]
    failure = handled.outcomes[0].failure
    assert failure.kind == FailureKind.FAILURE_KIND_UNAVAILABLE
    assert "ask again with the same command id" in failure.message
    assert handled.recorded == [False]


class _Broken(Order):
    """An order whose confirmation fails."""

    name = "Order"

    @handles
    def confirm(self, command: ConfirmOrder) -> OrderConfirmed:
        raise ZeroDivisionError("a defect")


async def test_many_defects_of_one_aggregate_in_a_batch_are_each_answered() -> None:
    broken = dataclasses.replace(orders, aggregates=[_Broken]).bind(Registry.load())
    handling = CommandHandling(broken, MemoryEventStore(), AggregateCache())
    batch = [envelope(place("o-1")), *(envelope(ConfirmOrder(order_id="o-1")) for _ in range(60))]
    assert shown(await handling.handle([*batch, envelope(place("o-2"))])) == ["v1", *["INTERNAL"] * 60, "v1"]


class _Flaky(MemoryEventStore):
    """Commits, then loses the connection before the caller gets the reply, once."""

    lost = False

    async def append(self, streams: Sequence[StreamAppend]) -> AppendResult:
        result = await super().append(streams)
        if not self.lost:
            self.lost = True
            raise StoreUnavailable("the connection broke after the commit")
        return result


async def test_a_crash_between_commit_and_acknowledgement_changes_nothing(context: BoundContext) -> None:
    store = _Flaky()
    handling = CommandHandling(context, store, AggregateCache())
    batch = [envelope(place("o-1")), envelope(ConfirmOrder(order_id="o-1")), envelope(place("o-2"))]
    with pytest.raises(StoreUnavailable):
        await handling.handle(batch)
    assert shown(await handling.handle(batch)) == ["v1*", "v2*", "v1*"]
    assert await store.position() == 3


class _Verbose(Order):
    """An order that explains at length why it is not confirmed."""

    name = "Order"

    @handles
    def confirm(self, command: ConfirmOrder) -> OrderConfirmed:
        raise Rejected("ORDER_NOT_OPEN", "because " * 500_000, metadata={"why": "x" * 3_000_000})


async def test_a_rejection_at_any_length_leaves_a_small_outcome() -> None:
    verbose = dataclasses.replace(orders, aggregates=[_Verbose]).bind(Registry.load())
    handling = CommandHandling(verbose, MemoryEventStore(), AggregateCache())
    handled = await handling.handle([envelope(place("o-1")), envelope(ConfirmOrder(order_id="o-1"))])
    assert shown(handled) == ["v1", "ORDER_NOT_OPEN"]
    assert handled.outcomes[1].failure.message.startswith("because because")
    assert handled.outcomes[1].ByteSize() < 32 * 1024
