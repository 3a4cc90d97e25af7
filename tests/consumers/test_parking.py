"""Events that cannot be handled: tried again, then parked with their stream, replayed or dropped."""

from __future__ import annotations

import pytest
from intent.client import IntentClient
from intent.consumers import ConsumerKey
from intent.errors import (
    InvalidCommand,
    NotFound,
    PermissionDenied,
    Rejected,
    Unauthenticated,
)
from intent_contracts.intent.v1 import ConsumerInfo, Delivery, ParkedEvent

from ..store.builders import ACME, GLOBEX
from .cluster import NAME, Cluster, Process, Worker, until


async def parked(client: IntentClient, count: int) -> list[ParkedEvent]:
    """Wait until exactly `count` events are parked; return them."""
    events: list[ParkedEvent] = []

    async def as_many() -> bool:
        events[:] = (await client.consumers.parked()).parked
        return len(events) == count

    await until(as_many)
    return events


async def caught_up(client: IntentClient, position: int) -> ConsumerInfo:
    """Wait until the consumer is at a position."""

    async def at_position() -> ConsumerInfo | None:
        (info,) = (await client.consumers.list()).consumers
        return info if info.position >= position else None

    info: ConsumerInfo = await until(at_position)
    return info


async def poison(worker: Worker, order: str, times: int) -> list[Delivery]:
    """Fail the first event of one order `times` times, and acknowledge all others meanwhile."""
    failed: list[Delivery] = []
    while len(failed) < times:
        delivery = await worker.take()
        if delivery.event.aggregate_id == order:
            failed.append(delivery)
            await worker.fail(delivery, f"no {len(failed)}")
        else:
            await worker.acknowledge(delivery)
    return failed


async def test_a_failed_event_is_delivered_again_before_the_next_of_its_stream(
    cluster: Cluster, process: Process
) -> None:
    await cluster.record_many(orders=1, rounds=2)
    worker = await cluster.joined(process)
    failed = await poison(worker, "o-0", times=3)
    assert [(d.event.version, d.attempt) for d in failed] == [(1, 1), (1, 2), (1, 3)]
    assert [(d.event.version, d.attempt) for d in await worker.take_all(2)] == [(1, 4), (2, 1)]


async def test_a_poison_event_parks_only_its_stream(cluster: Cluster, process: Process) -> None:
    await cluster.record_many(orders=5, rounds=2)
    worker = await cluster.joined(process, attempts=2)
    await poison(worker, "o-2", times=2)
    last = await cluster.record_many(orders=5, rounds=1)
    while len(worker.seen) < 2 + 4 * 3:
        await worker.acknowledge(await worker.take())
    assert {order for order, version in worker.seen if version == 3} == {"o-0", "o-1", "o-3", "o-4"}

    client = process.client()
    info = await caught_up(client, last)
    assert (info.consumer, info.tenant_id, info.lag, info.instances) == (NAME, ACME, 0, 1)
    assert info.parked_streams == 1
    events = await parked(client, 3)
    assert [(p.event.aggregate_id, p.event.version, p.attempts) for p in events] == [
        ("o-2", 1, 2),
        ("o-2", 2, 0),
        ("o-2", 3, 0),
    ]
    assert (events[0].consumer, events[0].error, events[0].all_tenants) == (NAME, "no 2", False)
    assert events[0].parked_at.seconds > 0
    assert list((await client.consumers.parked("another")).parked) == []
    limited = await client.consumers.parked(NAME, aggregate_type="Order", aggregate_id="o-2", limit=2)
    assert (len(limited.parked), limited.more) == (2, True)


async def test_a_replayed_stream_is_delivered_in_order_and_continues(
    cluster: Cluster, process: Process
) -> None:
    await cluster.record_many(orders=1, rounds=3)
    worker = await cluster.joined(process, attempts=1)
    await poison(worker, "o-0", times=1)
    client = process.client()
    await parked(client, 3)
    assert await client.consumers.replay(NAME, "Order", "o-0") == 3
    again = await worker.take_all(3)
    assert [(d.event.version, d.attempt) for d in again] == [(1, 1), (2, 1), (3, 1)]
    await cluster.record("o-0")
    assert (await worker.take_all(1))[0].event.version == 4
    await caught_up(client, 4)
    assert await parked(client, 0) == []
    with pytest.raises(NotFound, match="has not parked"):
        await client.consumers.replay(NAME, "Order", "o-0")


async def test_an_event_that_fails_again_after_a_replay_is_parked_again(
    cluster: Cluster, process: Process
) -> None:
    await cluster.record_many(orders=1, rounds=2)
    worker = await cluster.joined(process, attempts=2)
    client = process.client()
    for _ in range(2):
        await poison(worker, "o-0", times=2)
        assert (await parked(client, 2))[0].attempts == 2
        await client.consumers.replay(NAME, "Order", "o-0")
    assert len(await worker.take_all(2)) == 2


async def test_dropping_the_failed_event_lets_the_rest_continue(cluster: Cluster, process: Process) -> None:
    await cluster.record_many(orders=1, rounds=3)
    worker = await cluster.joined(process, attempts=1)
    await poison(worker, "o-0", times=1)
    client = process.client(actor="user:ann")
    await parked(client, 3)
    await client.consumers.drop(NAME, 1, "a test order")
    assert [d.event.version for d in await worker.take_all(2)] == [2, 3]
    await caught_up(client, 3)
    async with process.store.pool.acquire() as connection, connection.transaction():
        await connection.execute(f"set local intent.tenant = '{ACME}'")
        row = await connection.fetchrow("select * from orders.consumer_drops")
    assert (row["position"], row["reason"], row["actor"]) == (1, "a test order", "user:ann")
    assert (row["attempts"], row["error"]) == (1, "no 1")


async def test_dropping_a_waiting_event_leaves_the_stream_parked(cluster: Cluster, process: Process) -> None:
    await cluster.record_many(orders=1, rounds=3)
    worker = await cluster.joined(process, attempts=1)
    await poison(worker, "o-0", times=1)
    client = process.client()
    await parked(client, 3)
    await client.consumers.drop(NAME, 2, "a test order")
    assert [p.event.version for p in await parked(client, 2)] == [1, 3]
    await client.consumers.replay(NAME, "Order", "o-0")
    assert [d.event.version for d in await worker.take_all(2)] == [1, 3]


async def test_dropping_the_last_parked_event_unparks_the_stream(cluster: Cluster, process: Process) -> None:
    await cluster.record("o-0")
    worker = await cluster.joined(process, attempts=1)
    await poison(worker, "o-0", times=1)
    client = process.client()
    await parked(client, 1)
    await client.consumers.drop(NAME, 1, "a test order")
    await cluster.record("o-0")
    assert (await worker.take_all(1))[0].event.version == 2
    assert (await caught_up(client, 2)).parked_streams == 0


async def test_a_drop_or_replay_while_no_instance_runs_is_not_lost(
    cluster: Cluster, process: Process
) -> None:
    await cluster.record_many(orders=2, rounds=2)
    worker = await cluster.joined(process, attempts=1)
    await poison(worker, "o-0", times=1)
    await poison(worker, "o-1", times=1)
    client = process.client()
    await parked(client, 4)
    await worker.leave()
    await client.consumers.drop(NAME, 1, "a test order")
    await client.consumers.replay(NAME, "Order", "o-1")
    position = await cluster.record("o-0")
    other = await cluster.joined(process)
    taken = await other.take_all(4)
    assert sorted((d.event.aggregate_id, d.event.version) for d in taken) == [
        ("o-0", 2),
        ("o-0", 3),
        ("o-1", 1),
        ("o-1", 2),
    ]
    await caught_up(client, position)


async def test_attempts_are_counted_across_instances_and_processes(cluster: Cluster) -> None:
    first, second = await cluster.process(), await cluster.process()
    await cluster.record("o-1")
    one = await cluster.joined(first, attempts=3)
    await poison(one, "o-1", times=2)
    consumer, every = ConsumerKey(ACME, NAME), range(8)

    async def saved() -> bool:
        return any(
            mark.attempts == 2 for mark in await first.host.database.set_aside_streams(consumer, every)
        )

    await until(saved)
    await first.stop()
    two = await cluster.joined(second, attempts=3)
    delivery = await two.take()
    assert delivery.attempt == 3
    await two.fail(delivery, "still")
    assert (await parked(second.client(), 1))[0].error == "still"


async def test_parked_events_survive_a_restart(cluster: Cluster) -> None:
    first = await cluster.process()
    await cluster.record_many(orders=2, rounds=2)
    worker = await cluster.joined(first, attempts=1)
    await poison(worker, "o-1", times=1)
    await parked(first.client(), 2)
    await first.crash()
    second = await cluster.process()
    again = await cluster.joined(second)
    await again.has(lambda: len(again.partitions) == 8)
    await cluster.record("o-1")
    events = await parked(second.client(), 3)
    assert [(p.event.version, p.attempts) for p in events] == [(1, 1), (2, 0), (3, 0)]
    await second.client().consumers.replay(NAME, "Order", "o-1")
    while ("o-1", 3) not in again.seen:
        await again.acknowledge(await again.take())
    assert [version for order, version in again.seen if order == "o-1"] == [1, 2, 3]


async def test_a_replay_requested_of_another_process_takes_effect(cluster: Cluster) -> None:
    here, there = await cluster.process(), await cluster.process()
    await cluster.record("o-1")
    worker = await cluster.joined(here, attempts=1)
    await poison(worker, "o-1", times=1)
    await parked(there.client(), 1)
    await there.client().consumers.replay(NAME, "Order", "o-1")
    assert (await worker.take()).event.version == 1


async def test_tenants_see_and_change_only_their_own_consumers(cluster: Cluster, process: Process) -> None:
    await cluster.record("o-1", tenant=ACME)
    everyone = await cluster.joined(process, roles="consumer-all", all_tenants=True, attempts=1)
    await poison(everyone, "o-1", times=1)
    own = await cluster.joined(process, attempts=1)
    await poison(own, "o-1", times=1)
    await parked(process.client(), 2)

    acme = process.client(ACME, roles=["operator"])
    globex = process.client(GLOBEX, roles=["operator"])
    assert [info.tenant_id for info in (await acme.consumers.list()).consumers] == [ACME]
    assert [p.all_tenants for p in await parked(acme, 1)] == [False]
    assert list((await globex.consumers.list()).consumers) == []
    assert await parked(globex, 0) == []
    with pytest.raises(NotFound):
        await globex.consumers.replay(NAME, "Order", "o-1", tenant=ACME)
    with pytest.raises(NotFound):
        await globex.consumers.drop(NAME, 1, "theirs")
    for attempt in (
        acme.consumers.replay(NAME, "Order", "o-1", tenant=ACME, all_tenants=True),
        acme.consumers.drop(NAME, 1, "not mine", all_tenants=True),
        acme.consumers.remove(NAME, all_tenants=True),
    ):
        with pytest.raises(PermissionDenied):
            await attempt

    every = process.client("", roles=["operator", "consumer-all"])
    assert [info.tenant_id for info in (await every.consumers.list()).consumers] == ["", ACME]
    assert await every.consumers.replay(NAME, "Order", "o-1", tenant=ACME, all_tenants=True) == 1
    assert (await everyone.take()).event.tenant_id == ACME
    assert [p.all_tenants for p in await parked(every, 1)] == [False]


async def test_operating_needs_a_role_a_tenant_and_a_reason(process: Process) -> None:
    with pytest.raises(PermissionDenied):
        await process.client(roles=["customer"]).consumers.list()
    with pytest.raises(Unauthenticated):
        await process.client("", roles=["operator"]).consumers.list()
    with pytest.raises(InvalidCommand):
        await process.client(roles=["operator"]).consumers.drop(NAME, 1, "")


async def test_a_consumer_is_removed_once_it_has_no_instance(cluster: Cluster, process: Process) -> None:
    await cluster.record("o-1")
    worker = await cluster.joined(process)
    await worker.take_all(1)
    client = process.client()
    with pytest.raises(Rejected, match="instances work"):
        await client.consumers.remove(NAME)
    await worker.leave()

    async def removed() -> bool:
        try:
            await client.consumers.remove(NAME)
        except Rejected:
            return False
        return True

    await until(removed)
    with pytest.raises(NotFound):
        await client.consumers.remove(NAME)
    again = await cluster.joined(process)
    assert (await again.take()).event.position == 1
