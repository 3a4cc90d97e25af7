"""What ends in good order repeats nothing that was acknowledged, and says what is delivered again."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from uuid import UUID

import grpc
import pytest
from intent.consumers import ConsumerKey
from intent.consumers.changes import Changes
from intent.waiting import set_within
from intent_contracts.intent.v1 import Delivery

from .cluster import QUICK, TIMEOUT, Cluster, Process, until
from .own_process import own_process
from .test_consuming import acknowledge_all, caught_up

SLOW_TO_SAVE = replace(QUICK, save_every=60.0)
"""Progress is saved only when a session or a partition is given up."""


async def stopping(process: Process) -> asyncio.Task[None]:
    """Let a process stop; return once it delivers nothing more."""
    stopped = asyncio.create_task(process.stop())

    async def closed() -> bool:
        return process.host._closed

    await until(closed)
    return stopped


async def next_positions(cluster: Cluster, process: Process, count: int) -> list[int]:
    """Return the first positions that a new instance gets, which are all up to a last one."""
    last = await cluster.record("o-last")
    worker = await cluster.joined(process)
    positions = [delivery.event.position for delivery in await worker.take_all(count)]
    assert last in positions
    assert worker.waiting == 0
    return sorted(positions)[:-1]


async def test_answers_that_arrive_while_a_process_stops_are_saved(cluster: Cluster) -> None:
    process, other = await cluster.process(), await cluster.process()
    await cluster.record_many(orders=5)
    worker = await cluster.joined(process)
    deliveries = await worker.take_all(5, answer=False)
    stopped = await stopping(process)
    for delivery in deliveries:
        await worker.acknowledge(delivery)
    assert await worker.ended() is grpc.StatusCode.UNAVAILABLE
    assert (
        await worker.error() == "the service is shutting down; no delivery is without an answer; join again"
    )
    await stopped
    assert await next_positions(cluster, other, 1) == []


async def test_answers_that_reach_a_process_while_it_is_held_up_are_saved(cluster: Cluster) -> None:
    """Such as while a machine is overloaded, or its process was stopped for a while."""
    process, other = await cluster.process(replace(QUICK, drain=0.3)), await cluster.process()
    await cluster.record_many(orders=5)
    worker = await cluster.joined(process)
    deliveries = await worker.take_all(5, answer=False)
    stopped = await stopping(process)
    for delivery in deliveries:
        await worker.acknowledge(delivery)
    time.sleep(0.9)  # noqa: ASYNC251 - it holds up the process and the instance, which share an event loop
    await stopped
    assert await next_positions(cluster, other, 1) == []


async def test_the_end_of_a_call_says_what_is_delivered_again(cluster: Cluster) -> None:
    process, other = await cluster.process(), await cluster.process()
    await cluster.record_many(orders=4)
    worker = await cluster.joined(process)
    deliveries = {d.event.position: d for d in await worker.take_all(4, answer=False)}
    await worker.acknowledge(deliveries[2])
    await worker.acknowledge(deliveries[3])
    await process.stop()
    assert await worker.ended() is grpc.StatusCode.UNAVAILABLE
    error = await worker.failure()
    assert (error.reason, error.metadata["delivered_again"]) == ("CONSUMER_ENDED", "1,4")
    assert error.message.startswith("the service is shutting down; what has no answer is delivered again, 2")
    assert await next_positions(cluster, other, 3) == [1, 4]


async def test_a_heartbeat_removes_no_instance_that_is_about_to_save(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = await cluster.process(SLOW_TO_SAVE)
    database = process.host.database
    save = database.save

    async def save_after_a_heartbeat(*arguments: ConsumerKey) -> None:
        await process.host._try_heartbeat()
        await save(*arguments)  # type: ignore[arg-type]

    await cluster.record_many(orders=5)
    await cluster.joined(process, "shipping.another", from_now=True)
    worker = await cluster.joined(process)
    await worker.take_all(5)
    monkeypatch.setattr(database, "save", save_after_a_heartbeat)
    await worker.leave()
    assert await next_positions(cluster, process, 1) == []


async def test_a_save_that_is_under_way_when_an_instance_leaves_takes_effect_once(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = await cluster.process(SLOW_TO_SAVE)
    database = process.host.database
    save, saved, answered = database.save, asyncio.Event(), asyncio.Event()

    async def save_with_a_late_answer(
        key: ConsumerKey, instance: UUID, changes: Changes, incarnation: int
    ) -> None:
        await save(key, instance, changes, incarnation)
        if not saved.is_set() and any(mark.release for mark in changes.partitions):
            saved.set()
            await answered.wait()

    await cluster.record_many(orders=8)
    one = await cluster.joined(process)
    deliveries = await one.take_all(8, answer=False)
    for delivery in deliveries[:4]:
        await one.acknowledge(delivery)
    monkeypatch.setattr(database, "save", save_with_a_late_answer)
    two = await cluster.joined(process)
    assert await set_within(saved, TIMEOUT)
    for delivery in deliveries[4:]:
        await one.acknowledge(delivery)
    leaving = asyncio.create_task(one.leave())
    await until(lambda: answers_are_read_of(1))
    answered.set()
    await leaving
    await two.has(lambda: len(two.partitions) == 8)
    last = await cluster.record("o-last")
    assert (await two.take()).event.position == last


async def answers_are_read_of(instances: int) -> bool:
    """Return whether the answers of so many instances are still read."""
    return sum(task.get_name().endswith(": answers") for task in asyncio.all_tasks()) == instances


async def test_a_process_that_is_suspended_lets_others_take_over_and_repeats_nothing(
    cluster: Cluster,
) -> None:
    other = await cluster.process()
    async with own_process(cluster.database) as suspended:
        here, there = await cluster.joined(suspended), await cluster.joined(other)
        await here.has(lambda: len(here.partitions) == 4)
        await there.has(lambda: len(there.partitions) == 4)
        tasks = [asyncio.create_task(acknowledge_all(worker)) for worker in (here, there)]
        await caught_up(other, await cluster.record_many(orders=12, rounds=2))
        tasks[0].cancel()
        first = await cluster.record_many(orders=12)
        unanswered = await here.take()

        suspended.suspend()
        await cluster.record_many(orders=12)
        await here.acknowledge(unanswered)
        await there.has(lambda: len(there.partitions) == 8)
        await caught_up(other, first + 12)
        delivered = here.waiting
        suspended.resume()

        assert await here.ended() is grpc.StatusCode.UNAVAILABLE
        assert (await here.failure()).reason == "CONSUMER_ENDED"
        assert here.waiting == delivered
        again = await cluster.joined(suspended)
        await again.has(lambda: len(again.partitions) == 4)
        tasks.append(asyncio.create_task(acknowledge_all(again)))
        await caught_up(other, await cluster.record_many(orders=12))
        for task in tasks:
            task.cancel()
    answered = [event for event in here.seen if event != stream_of(unanswered)]
    seen = sorted([*answered, *there.seen, *again.seen])
    assert seen == sorted((f"o-{order}", version) for order in range(12) for version in range(1, 6))


def stream_of(delivery: Delivery) -> tuple[str, int]:
    return delivery.event.aggregate_id, delivery.event.version
