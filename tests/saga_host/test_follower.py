"""The follower brings every event of the log to its sagas, in the order of each aggregate."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from intent.background import stop_all
from intent.consumers import ConsumerDatabase, ConsumerOperator, ConsumerRow, ConsumerServing
from intent.dev.services import TemporalServer
from intent.model import BoundContext
from intent.saga_host import FOLLOWER, EventDelivery, SagaFollower
from intent.store.postgres import FollowerMarks, PostgresEventStore, PostgresSagaFollower
from intent.temporal import data_converter
from intent_contracts.orders.v1 import OrderPlaced
from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from ..consumers.cluster import QUICK, Cluster, cluster_on
from ..support.command_path import eventually
from ..support.databases import Database
from .listening import HEARD, Hearing, HearingToo, Listened

CONFIRMED = "orders.v1.OrderConfirmed"
LEASED = replace(QUICK, lease=4.0)


@pytest_asyncio.fixture
async def cluster(database: Database) -> AsyncIterator[Cluster]:
    async with cluster_on(database) as cluster:
        yield cluster


@pytest_asyncio.fixture
async def client(temporal: TemporalServer) -> AsyncIterator[Client]:
    client = await connected(temporal)
    async with hearing(client):
        yield client


async def connected(temporal: TemporalServer, **options: Any) -> Client:
    return await Client.connect(temporal.address, data_converter=data_converter, **options)


def hearing(client: Client) -> Worker:
    """A worker of the saga that hears."""
    runner = UnsandboxedWorkflowRunner()
    return Worker(client, task_queue="test-sagas", workflows=[Hearing, HearingToo], workflow_runner=runner)


@dataclass
class Following:
    """A process that follows a log for sagas, with connections of its own."""

    store: PostgresEventStore
    serving: ConsumerServing
    follower: SagaFollower
    running: asyncio.Task[None]

    async def crash(self) -> None:
        """End as on SIGKILL: nothing more reaches the database."""
        await self.store.close()
        self.running.cancel()
        await stop_all(self.serving._tasks)

    async def row(self) -> ConsumerRow:
        (row,) = await self.serving.database.own()
        assert row[:2] == FOLLOWER
        return row


@asynccontextmanager
async def following(
    database: Database, client: Client, bound: BoundContext, marks: Any = None, **listened: Any
) -> AsyncIterator[Following]:
    """Follow the log of a database; an order's first event may be either of the two that the saga hears."""
    store = await PostgresEventStore.open(database.service, database.context)
    context: Any = Listened(bound, "orders", **{"saga": "test.v1.Hearing", "starts_on": HEARD, **listened})
    follower = SagaFollower(
        context, EventDelivery(context, client), marks or PostgresSagaFollower(store.pool, database.context)
    )
    serving = ConsumerServing(store, ConsumerDatabase(store.pool, database.context), LEASED)
    await serving.start()
    process = Following(store, serving, follower, asyncio.create_task(follower.run(serving)))
    try:
        yield process
    finally:
        await serving.stop()
        process.running.cancel()
        await store.close()


async def heard(client: Client, order: str, saga: str = "test.v1.Hearing") -> Sequence[int]:
    try:
        seen: list[int] = await client.get_workflow_handle(f"{saga}/acme/{order}").query("heard")
    except RPCError:
        return []
    return seen


async def until_heard(
    client: Client, orders: Sequence[str], versions: Sequence[int], saga: str = "test.v1.Hearing"
) -> None:
    async def all_heard() -> bool:
        return all([sorted(await heard(client, order, saga)) == versions for order in orders])

    await eventually(all_heard, 60)


@pytest.fixture
def orders() -> Sequence[str]:
    return [uuid4().hex for _ in range(8)]


async def test_events_come_in_their_order_although_a_process_dies_between_append_and_delivery(
    cluster: Cluster, database: Database, client: Client, bound: BoundContext, orders: Sequence[str]
) -> None:
    for order in orders:
        await cluster.record(order, *[CONFIRMED] * 2)
    async with following(database, client, bound) as first, following(database, client, bound) as second:
        await until_heard(client, orders[:1], [1, 2])
        for _ in range(2):
            for order in orders:
                await cluster.record(order, CONFIRMED)
        await first.crash()
        await asyncio.gather(*(cluster.record(order, CONFIRMED) for order in orders))
        await until_heard(client, orders, [1, 2, 3, 4, 5])
        assert [await heard(client, order) for order in orders] == [[1, 2, 3, 4, 5]] * len(orders)

        async def saved() -> bool:
            return (await second.row()).position == await cluster.store.position()

        await eventually(saved)


async def test_an_event_that_temporal_refuses_is_parked_alone_with_its_reason(
    cluster: Cluster, database: Database, client: Client, bound: BoundContext, orders: Sequence[str]
) -> None:
    fine, refused = orders[:2]
    await cluster.record(refused, OrderPlaced(customer_id="x" * 1200), schema_version=1)
    await cluster.record(refused, OrderPlaced(customer_id=fine), schema_version=1)
    await cluster.record("another", OrderPlaced(customer_id=fine), schema_version=1)
    async with following(database, client, bound, correlated_by="customer_id") as process:
        await until_heard(client, [fine], [1])

        async def parked() -> bool:
            return (await process.row()).parked == 1

        await eventually(parked)
        first, waiting = await process.serving.database.parked(None, 10)
        assert (first.entry.aggregate_id, first.attempts, waiting.attempts) == (refused, 1, 0)
        assert "Temporal refuses it" in first.error
        assert "WorkflowId" in first.error
        operator = ConsumerOperator(process.serving.database, process.serving.changed)
        await operator.drop(FOLLOWER, first.entry.position, "no such customer", "user:ann")
        await until_heard(client, [fine], [1, 2])
        await asyncio.wait_for(process.serving.stop(), 2 * LEASED.lease)
    history = await client.get_workflow_handle(f"test.v1.Hearing/acme/{fine}").fetch_history()
    signals = [e for e in history.events if e.HasField("workflow_execution_signaled_event_attributes")]
    assert len(signals) == 2


async def test_events_wait_for_temporal_and_a_stop_does_not(
    cluster: Cluster, database: Database, bound: BoundContext, orders: Sequence[str], tmp_path: Path
) -> None:
    server = TemporalServer(log=tmp_path / "temporal.log")
    client = await connected(server, lazy=True)
    await cluster.record(orders[0], CONFIRMED, CONFIRMED)
    async with following(database, client, bound) as process:
        await until_delivering(process)
        entry, *_ = await cluster.store.read_log(0, 1)
        with pytest.raises(RuntimeError, match="connect"):  # By now the follower has tried as well.
            await process.follower.delivery.deliver([entry])
        assert sum(counters.failures for counters in process.serving.counters()) == 0
        began = asyncio.get_running_loop().time()
        await process.serving.stop()
        assert asyncio.get_running_loop().time() - began < LEASED.lease
        row = await process.row()
        assert (row.position, row.parked) == (0, 0)
    with server:
        later = await connected(server)
        async with hearing(later), following(database, later, bound):
            await until_heard(later, orders[:1], [1, 2])


async def test_a_saga_that_may_have_no_more_signals_parks_its_aggregate_and_no_other(
    cluster: Cluster, database: Database, bound: BoundContext, orders: Sequence[str], tmp_path: Path
) -> None:
    limited = {"history.maximumSignalsPerExecution": 3}
    with TemporalServer(log=tmp_path / "temporal.log", dynamic_config=limited) as server:
        client = await connected(server)
        async with hearing(client), following(database, client, bound) as process:
            for order, events in zip(orders[:2], (5, 2), strict=True):
                await cluster.record(order, *[CONFIRMED] * events)
            await until_heard(client, orders[:1], [1, 2, 3])
            await until_heard(client, orders[1:2], [1, 2])

            async def parked() -> bool:
                return (await process.row()).parked == 1

            await eventually(parked)
            fourth, fifth = await process.serving.database.parked(None, 10)
            assert (fourth.entry.version, fifth.entry.version) == (4, 5)
            assert "limit" in fourth.error


async def until_delivering(process: Following) -> None:
    async def delivering() -> bool:
        return sum(counters.deliveries for counters in process.serving.counters()) > 0

    await eventually(delivering)


async def test_a_saga_that_only_the_new_release_knows_misses_nothing_during_a_rollout(
    cluster: Cluster, database: Database, client: Client, bound: BoundContext, orders: Sequence[str]
) -> None:
    async with following(database, client, bound) as old:
        await cluster.record(orders[0], CONFIRMED)
        await until_heard(client, orders[:1], [1])
        async with following(database, client, bound, further=["test.v1.HearingToo"]):

            async def joined() -> bool:
                return (await old.row()).instances == 2

            await eventually(joined)
            for order in [*orders[1:], *orders[1:]]:
                await cluster.record(order, CONFIRMED)
            for saga in ("test.v1.Hearing", "test.v1.HearingToo"):
                await until_heard(client, orders[1:], [1, 2], saga)


async def test_what_was_recorded_before_there_was_a_follower_is_brought_by_whoever_routes_it(
    cluster: Cluster, database: Database, client: Client, bound: BoundContext, orders: Sequence[str]
) -> None:
    before, after = orders[:2]
    began_at = await cluster.record(before, CONFIRMED)
    await cluster.record(after, CONFIRMED)

    async def begin(*_: object) -> FollowerMarks:
        return FollowerMarks(began_at, 0)

    store = cluster.store
    context: Any = Listened(bound, "orders", saga="test.v1.Hearing", starts_on=HEARD)
    follower = SagaFollower(context, EventDelivery(context, client), SimpleNamespace(begin=begin))
    assert await follower.reach(await store.read_positions([began_at, began_at + 1]), timeout=0.1) == 2
    await until_heard(client, [before], [1])
    assert await heard(client, after) == []


async def test_moving_the_checkpoint_back_brings_events_again_and_what_was_parked_too(
    cluster: Cluster, database: Database, client: Client, bound: BoundContext, orders: Sequence[str]
) -> None:
    marks = PostgresSagaFollower(cluster.store.pool, database.context)
    async with following(database, client, bound) as process:
        await cluster.record(orders[0], CONFIRMED, CONFIRMED)
        await until_heard(client, orders[:1], [1, 2])
        await client.get_workflow_handle(f"test.v1.Hearing/acme/{orders[0]}").terminate()
        deleted = uuid4().hex
        await cluster.record(deleted, CONFIRMED)
        await until_heard(client, [deleted], [1])

        delivered = sum(counters.deliveries for counters in process.serving.counters())
        assert await marks.rewind(1) == 3
        assert await marks.begin(HEARD, 8) == (0, 3)

        async def again() -> bool:
            return sum(counters.deliveries for counters in process.serving.counters()) >= delivered + 2

        await eventually(again)
        assert await heard(client, deleted) == [1]
