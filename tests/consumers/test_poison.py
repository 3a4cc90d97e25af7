"""A handler of a consumer that hangs or raises anything at all parks its stream, and nothing else stops."""

from __future__ import annotations

import asyncio
import time

import pytest
from intent.guarding import Doubts, Guard, UnderWay
from intent.model import Consumer, consumes
from intent_contracts.orders.v1 import OrderPlaced
from intent_contracts.shipping.v1 import NoteOrder

from ..support.harm import HARM, MemoryDoubts
from .cluster import NAME, Cluster, Process, until
from .test_parking import parked
from .test_runner import Sent


def harmful(kind: str, *, coroutine: bool) -> Consumer:
    class Sync(Consumer):
        name = NAME
        attempts = 2
        timeout = 0.5

        @consumes
        def placed(self, event: OrderPlaced) -> NoteOrder:
            if event.customer_id == "bad":
                HARM[kind]()
            return NoteOrder(order_id="noted", customer_id=event.customer_id)

    class Async(Consumer):
        name = NAME
        attempts = 2
        timeout = 0.5

        @consumes
        async def placed(self, event: OrderPlaced) -> NoteOrder:
            await asyncio.sleep(0)
            return Sync().placed(event)

    return Async() if coroutine else Sync()


@pytest.mark.parametrize("coroutine", [False, True])
@pytest.mark.parametrize("kind", HARM)
async def test_its_stream_is_parked_and_the_others_continue(
    cluster: Cluster, process: Process, kind: str, coroutine: bool
) -> None:
    await cluster.record("o-1", OrderPlaced(customer_id="bad"))
    for order in ("o-2", "o-3"):
        await cluster.record(order, OrderPlaced(customer_id="ann"))
    sent, client = Sent(), process.client()
    runner = client.consume(harmful(kind, coroutine=coroutine), send=sent, guard=Guard())
    task = asyncio.create_task(runner.run())
    await sent.has(2)
    (event,) = await parked(client, 1)
    assert event.event.aggregate_id == "o-1"
    assert event.error
    runner.stop()
    await task


async def test_an_event_that_processes_died_of_is_parked_without_being_handled(
    cluster: Cluster, process: Process
) -> None:
    position = await cluster.record("o-1", OrderPlaced(customer_id="ann"))
    doubts = Doubts(MemoryDoubts())
    await doubts.lost([UnderWay("consumer", NAME, "acme", str(position)).note] * 3)
    sent, client = Sent(), process.client()
    consumer = harmful("SystemExit", coroutine=False)
    runner = client.consume(consumer, send=sent, guard=Guard(doubts=doubts))
    task = asyncio.create_task(runner.run())
    (event,) = await parked(client, 1)
    assert "3 processes were lost" in event.error
    assert not sent.commands
    runner.stop()
    await task


async def test_a_handler_that_is_slow_but_no_coroutine_may_take_its_time(
    cluster: Cluster, process: Process
) -> None:
    class Slow(Consumer):
        name = NAME

        @consumes
        def placed(self, event: OrderPlaced) -> NoteOrder:
            time.sleep(1.5)
            return NoteOrder(order_id="noted", customer_id=event.customer_id)

    await cluster.record("o-1", OrderPlaced(customer_id="ann"))
    sent = Sent()
    runner = process.client().consume(Slow(), send=sent, guard=Guard())
    task = asyncio.create_task(runner.run())

    async def handled() -> bool:
        return runner.figures.handled == 1

    await until(handled)
    assert runner.figures.failures == 0
    runner.stop()
    await task
