"""Consumers over gRPC and PostgreSQL: in order, at least once, shared, whatever crashes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace

import grpc
import pytest
from intent.consumers import ConsumerKey
from intent_contracts.orders.v1 import OrderPlaced

from ..store.builders import ACME, GLOBEX
from .cluster import NAME, QUICK, Cluster, Process, Worker, until


def versions_by_order(seen: Iterable[tuple[str, int]]) -> dict[str, list[int]]:
    orders: dict[str, list[int]] = {}
    for order, version in seen:
        orders.setdefault(order, []).append(version)
    return orders


def in_order(versions: Sequence[int]) -> bool:
    """Return whether each version comes only after all lower ones; repeats are allowed."""
    reached = 0
    for version in versions:
        if version > reached + 1:
            return False
        reached = max(reached, version)
    return True


async def acknowledge_all(worker: Worker) -> None:
    """Acknowledge every delivery until cancelled."""
    while True:
        await worker.acknowledge(await worker.take())


async def caught_up(process: Process, position: int, tenant: str | None = ACME) -> None:
    async def there() -> bool:
        return all(row.position >= position for row in await process.host.database.list(tenant))

    await until(there)


async def test_every_event_is_delivered_once_with_its_metadata(cluster: Cluster, process: Process) -> None:
    await cluster.record("o-1", OrderPlaced(customer_id="ann"))
    worker = await cluster.joined(process)
    delivery = await worker.take()
    event = delivery.event
    assert (event.position, event.context, event.tenant_id, delivery.attempt) == (1, "orders", ACME, 1)
    assert (event.aggregate_type, event.aggregate_id, event.version) == ("Order", "o-1", 1)
    assert (event.type, event.schema_version) == ("orders.v1.OrderPlaced", 2)
    assert (event.correlation_id, event.actor) == ("correlation-1", "user:ann")
    assert OrderPlaced.FromString(event.data).customer_id == "ann"
    await worker.acknowledge(delivery)
    await cluster.record("o-1")
    assert (await worker.take()).event.version == 2


async def test_an_old_event_is_delivered_in_its_current_schema_version(
    cluster: Cluster, process: Process
) -> None:
    await cluster.record("o-1", "orders.v1.OrderPlaced")
    worker = await cluster.joined(process)
    event = (await worker.take()).event
    assert event.schema_version == 2
    assert OrderPlaced.FromString(event.data).currency == "EUR"


async def test_one_event_of_an_aggregate_at_a_time(cluster: Cluster, process: Process) -> None:
    await cluster.record_many(orders=3, rounds=2)
    worker = await cluster.joined(process)
    first = await worker.take_all(3, answer=False)
    assert {d.event.version for d in first} == {1}
    assert worker.waiting == 0
    for delivery in first:
        await worker.acknowledge(delivery)
    assert {d.event.version for d in await worker.take_all(3)} == {2}


async def test_it_continues_where_it_ended(cluster: Cluster, process: Process) -> None:
    await cluster.record_many(orders=5)
    first = await cluster.joined(process)
    await first.take_all(5)
    await first.leave()
    last = await cluster.record("o-9")
    second = await cluster.joined(process)
    assert (await second.take()).event.position == last
    assert second.waiting == 0


async def test_unanswered_events_are_delivered_again(cluster: Cluster, process: Process) -> None:
    await cluster.record_many(orders=4)
    first = await cluster.joined(process)
    taken = await first.take_all(4, answer=False)
    await first.acknowledge(taken[2])
    await first.leave()
    second = await cluster.joined(process)
    assert sorted(d.event.position for d in await second.take_all(3)) == [1, 2, 4]
    last = await cluster.record("o-9")
    assert (await second.take()).event.position == last


async def test_a_new_consumer_may_start_with_new_events(cluster: Cluster, process: Process) -> None:
    await cluster.record_many(orders=3)
    worker = await cluster.joined(process, from_now=True)
    position = await cluster.record("o-new")
    assert (await worker.take()).event.position == position


async def test_only_the_wanted_types_are_delivered(cluster: Cluster, process: Process) -> None:
    await cluster.record("o-1", "orders.v1.OrderConfirmed", "orders.v1.OrderCancelled")
    await cluster.record_many(orders=30, rounds=20)
    last = await cluster.record("o-1", "orders.v1.OrderCancelled")
    worker = await cluster.joined(process, types=["orders.v1.OrderCancelled"])
    assert [d.event.position for d in await worker.take_all(2)] == [2, last]
    await caught_up(process, last)


async def test_a_tenants_consumer_gets_its_own_events_only(cluster: Cluster, process: Process) -> None:
    await cluster.record("o-theirs", tenant=GLOBEX)
    await cluster.record("o-mine")
    await cluster.record("o-theirs", tenant=GLOBEX)
    worker = await cluster.joined(process)
    assert [d.event.aggregate_id for d in await worker.take_all(1)] == ["o-mine"]
    await cluster.record("o-theirs", tenant=GLOBEX)
    await cluster.record("o-mine")
    assert [d.event.aggregate_id for d in await worker.take_all(1)] == ["o-mine"]
    theirs = await cluster.joined(process, tenant=GLOBEX)
    assert {d.event.tenant_id for d in await theirs.take_all(3)} == {GLOBEX}


async def test_a_consumer_of_all_tenants_needs_its_role(cluster: Cluster, process: Process) -> None:
    await cluster.record("o-1", tenant=GLOBEX)
    await cluster.record("o-1", tenant=ACME)
    worker = await cluster.joined(process, roles="consumer-all", tenant="", all_tenants=True)
    assert {d.event.tenant_id for d in await worker.take_all(2)} == {ACME, GLOBEX}
    refused = await cluster.joined(process, all_tenants=True, wait=False)
    assert await refused.ended() is grpc.StatusCode.PERMISSION_DENIED
    assert "consumer-all" in await refused.error()


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"roles": "customer"}, grpc.StatusCode.PERMISSION_DENIED),
        ({"tenant": ""}, grpc.StatusCode.UNAUTHENTICATED),
        ({"name": "Not A Name"}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"in_flight": 100_000}, grpc.StatusCode.INVALID_ARGUMENT),
    ],
)
async def test_an_instance_that_may_not_join_gets_an_error_that_says_why(
    cluster: Cluster, process: Process, options: dict[str, object], code: grpc.StatusCode
) -> None:
    refused = await cluster.joined(process, wait=False, **options)  # type: ignore[arg-type]
    assert await refused.ended() is code


async def test_two_instances_share_the_work_in_order_per_aggregate(cluster: Cluster) -> None:
    here, there = await cluster.process(), await cluster.process()
    one, two = await cluster.joined(here), await cluster.joined(there)
    await one.has(lambda: len(one.partitions) == 4)
    await two.has(lambda: len(two.partitions) == 4)
    assert sorted([*one.partitions, *two.partitions]) == list(range(8))
    tasks = [asyncio.create_task(acknowledge_all(worker)) for worker in (one, two)]
    last = await cluster.record_many(orders=12, rounds=5)
    await caught_up(here, last)
    for task in tasks:
        task.cancel()
    mine, theirs = versions_by_order(one.seen), versions_by_order(two.seen)
    assert mine
    assert theirs
    assert not set(mine) & set(theirs)
    assert all(versions == [1, 2, 3, 4, 5] for versions in (mine | theirs).values())
    assert len(mine | theirs) == 12


async def test_a_third_instance_takes_its_share_without_repeats(cluster: Cluster, process: Process) -> None:
    workers = [await cluster.joined(process) for _ in range(2)]
    tasks = [asyncio.create_task(acknowledge_all(worker)) for worker in workers]
    await cluster.record_many(orders=10, rounds=3)
    workers.append(await cluster.joined(process))
    tasks.append(asyncio.create_task(acknowledge_all(workers[2])))
    await workers[2].has(lambda: len(workers[2].partitions) in (2, 3))
    last = await cluster.record_many(orders=10, rounds=3)
    await caught_up(process, last)
    for task in tasks:
        task.cancel()
    seen = [event for worker in workers for event in worker.seen]
    assert sorted(seen) == sorted((f"o-{o}", v) for o in range(10) for v in range(1, 7))


async def test_more_instances_than_partitions_wait_their_turn(cluster: Cluster, process: Process) -> None:
    first = await cluster.joined(process, partitions=1)
    spare = await cluster.joined(process, partitions=1)
    assert (spare.partitions, spare.total) == ((), 1)
    await first.vanish()
    await spare.has(lambda: spare.partitions == (0,))
    await cluster.record("o-1")
    await spare.take()


async def test_an_instance_that_is_killed_loses_nothing(cluster: Cluster, process: Process) -> None:
    await cluster.record_many(orders=6, rounds=3)
    killed = await cluster.joined(process)
    done = await killed.take_all(4, answer=False)
    for delivery in done[:2]:
        await killed.acknowledge(delivery)
    await killed.vanish()
    other = await cluster.joined(process)
    task = asyncio.create_task(acknowledge_all(other))
    await caught_up(process, 18)
    task.cancel()
    for order, versions in versions_by_order([*killed.seen, *other.seen]).items():
        assert in_order(versions), (order, versions)
        assert versions[-1] == 3
    unanswered = {(d.event.aggregate_id, d.event.version) for d in done[2:]}
    assert unanswered <= set(other.seen)


async def test_a_process_that_is_killed_loses_nothing(cluster: Cluster) -> None:
    killed, living = await cluster.process(), await cluster.process()
    one, two = await cluster.joined(killed), await cluster.joined(living)
    await two.has(lambda: len(two.partitions) == 4)
    tasks = [asyncio.create_task(acknowledge_all(worker)) for worker in (one, two)]
    await cluster.record_many(orders=10, rounds=3)
    await killed.crash()
    last = await cluster.record_many(orders=10, rounds=3)
    await two.has(lambda: len(two.partitions) == 8)
    await caught_up(living, last)
    for task in tasks:
        task.cancel()
    for order, versions in versions_by_order([*one.seen, *two.seen]).items():
        assert in_order(versions), (order, versions)
        assert versions[-1] == 6


async def test_a_process_that_stops_ends_its_instances_so_that_they_join_again(cluster: Cluster) -> None:
    stopping, other = await cluster.process(), await cluster.process()
    await cluster.record_many(orders=5)
    worker = await cluster.joined(stopping)
    await worker.take_all(5)
    await stopping.stop()
    assert await worker.ended() is grpc.StatusCode.UNAVAILABLE
    again = await cluster.joined(other)
    await again.has(lambda: len(again.partitions) == 8)
    position = await cluster.record("o-9")
    assert (await again.take()).event.position == position


async def test_a_process_that_stops_waits_for_answers_to_what_it_delivered(cluster: Cluster) -> None:
    stopping, other = await cluster.process(), await cluster.process()
    await cluster.record("o-1")
    worker = await cluster.joined(stopping)
    delivery = await worker.take()
    stopped = asyncio.create_task(stopping.stop())
    await worker.acknowledge(delivery)
    await stopped
    again = await cluster.joined(other)
    position = await cluster.record("o-1")
    assert (await again.take()).event.position == position


async def test_a_process_without_its_lease_delivers_nothing_more(cluster: Cluster) -> None:
    """Another process may have taken over, so its instances must join again."""
    cut_off, other = await cluster.process(), await cluster.process()
    worker = await cluster.joined(cut_off)
    await cut_off.store.close()
    assert await worker.ended() is grpc.StatusCode.UNAVAILABLE
    again = await cluster.joined(other)
    await again.has(lambda: len(again.partitions) == 8)
    cut_off.over = True
    await cut_off.served.close()


async def test_a_slow_instance_is_not_flooded(cluster: Cluster, process: Process) -> None:
    await cluster.record_many(orders=50)
    worker = await cluster.joined(process, in_flight=3)
    taken = await worker.take_all(3, answer=False)
    # Any further delivery would have arrived before the answer to this later call.
    await process.client().describe()
    assert worker.waiting == 0
    await worker.acknowledge(taken[0])
    await worker.take()
    await process.client().describe()
    assert worker.waiting == 0


async def test_an_instance_that_does_not_read_blocks_no_other(cluster: Cluster, process: Process) -> None:
    lazy = await cluster.joined(process, in_flight=2)
    busy = await cluster.joined(process)
    await busy.has(lambda: len(busy.partitions) == 4)
    await cluster.record_many(orders=20)
    await lazy.take()
    await busy.take_all(5)


async def test_a_long_stream_does_not_block_others(cluster: Cluster, process: Process) -> None:
    for _ in range(30):
        await cluster.record("long", *["orders.v1.OrderConfirmed"] * 20)
    await cluster.record("short")
    worker = await cluster.joined(process)
    first = await worker.take()
    while first.event.aggregate_id == "short":
        first = await worker.take()
    while ("short", 1) not in worker.seen:
        await worker.take()
    # The long one is then delivered completely and in order.
    await worker.acknowledge(first)
    for version in range(2, 601):
        delivery = await worker.take()
        assert delivery.event.version == version
        await worker.acknowledge(delivery)
    await cluster.record("long")
    assert (await worker.take()).event.version == 601


async def test_a_slow_event_does_not_block_the_checkpoint_forever(cluster: Cluster) -> None:
    process = await cluster.process(replace(QUICK, slow=0.05))
    await cluster.record_many(orders=8)
    worker = await cluster.joined(process, partitions=1)
    slow, *others = await worker.take_all(8, answer=False)
    for delivery in others:
        await worker.acknowledge(delivery)

    async def is_set_aside() -> bool:
        return len(await process.host.database.set_aside_streams(ConsumerKey(ACME, NAME), [0])) == 1

    await until(is_set_aside)
    assert (await process.host.database.list(ACME))[0].position == 0
    await worker.vanish()
    again = await cluster.joined(process)
    assert (await again.take()).event.position == slow.event.position
    assert again.waiting == 0


async def test_many_idle_consumers_share_one_statement(
    cluster: Cluster, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"shipping.idle-{n}" for n in range(30)]
    workers = await asyncio.gather(*(cluster.joined(process, name, from_now=True) for name in names))
    calls: list[str] = []
    inner = process.host.database._rows

    async def counted(function: str, *arguments: object) -> Sequence[object]:
        calls.append(function)
        return await inner(function, *arguments)

    async def sent_heartbeats() -> bool:
        return calls.count("consumer_beat") >= 5

    monkeypatch.setattr(process.host.database, "_rows", counted)
    await until(sent_heartbeats)
    del calls[:]
    await until(sent_heartbeats)
    shared = {"consumer_beat", "consumer_list", "consumer_own"}
    assert {name.rstrip("_0123456789") for name in calls} <= shared
    position = await cluster.record("o-1")
    taken = await asyncio.gather(*(worker.take() for worker in workers))
    assert {delivery.event.position for delivery in taken} == {position}
