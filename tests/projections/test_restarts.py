"""The database stops and returns: no process crashes, nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from uuid import uuid4

import pytest
from intent.dev.services import Postgres
from intent.errors import StoreUnavailable
from intent.projections.supervisor import ProjectionSupervisor
from intent_contracts.orders.v1 import OrderSummary

from ..conftest import CONTEXT
from ..support.command_path import eventually
from ..support.databases import Database, prepare
from .cluster import Cluster, bound, changed, placed, until_at
from .projection_examples import Counting


@pytest.fixture
def server(postgres: Postgres) -> Iterator[Postgres]:
    """A server for one test, which keeps commits that need not be durable in memory for long."""
    folder = postgres.data.with_name(f"restarted-{uuid4().hex}")
    with Postgres(folder, settings={"wal_writer_delay": "10s"}) as own:
        yield own


@pytest.mark.parametrize("outage", ["restart", "crash"])
async def test_projections_continue_after_an_outage_of_the_database(server: Postgres, outage: str) -> None:
    database = Database.of(server, server.database, CONTEXT)
    await prepare(database)
    async with AsyncExitStack() as stack:
        cluster = Cluster(database, stack)
        await cluster.open(bound(Counting))
        projections = await cluster.process(bound(Counting))
        await until_at(projections, await cluster.record("o-1", placed()))

        await asyncio.to_thread(server.kill if outage == "crash" else server.stop)
        assert list(await projections.reach(2, 0.1)) == ["OrderViews", "OrderSummaries"]
        with pytest.raises(StoreUnavailable):
            await projections.statuses()
        assert projections.stalled(3_600) == ""
        await asyncio.to_thread(server.start)

        position = await record_again(cluster)
        await until_at(projections, position)
        assert [OrderSummary.FromString(row["data"]).line_count for row in await cluster.rows()] == [2]
        assert all(not status.last_error for status in await projections.statuses())


async def test_pages_lost_in_a_crash_are_applied_again_without_new_events(server: Postgres) -> None:
    database = Database.of(server, server.database, CONTEXT)
    await prepare(database)
    async with AsyncExitStack() as stack:
        cluster = Cluster(database, stack)
        await cluster.open(bound(Counting))
        projections = await cluster.process(bound(Counting))
        await until_at(projections, await cluster.record("o-1", placed(), changed()))

        await asyncio.to_thread(server.kill)
        await asyncio.to_thread(server.start)

        for _ in range(600):
            (applied,) = (c.events for c in projections.counters() if c.name == Counting.name)
            if applied > 2:
                break
            await asyncio.sleep(0.05)
        assert applied == 4, "the crash lost nothing, or the runner did not notice"
        assert [OrderSummary.FromString(row["data"]).line_count for row in await cluster.rows()] == [2]


async def test_what_a_crash_may_have_lost_counts_as_reached_only_once_it_was_looked_for(
    server: Postgres,
) -> None:
    database = Database.of(server, server.database, CONTEXT)
    await prepare(database)
    async with AsyncExitStack() as stack:
        cluster = Cluster(database, stack)
        await cluster.open(bound(Counting))
        projections = await cluster.process(bound(Counting))
        head = await cluster.record("o-1", placed())
        await until_at(projections, head)

        await asyncio.to_thread(server.kill)
        await eventually(lambda: _certain(projections, 0))
        assert list(await projections.reach(head, 0, (Counting.name,))) == [Counting.name]
        await asyncio.to_thread(server.start)

        assert list(await projections.reach(head, 30, (Counting.name,))) == []
        assert [OrderSummary.FromString(row["data"]).line_count for row in await cluster.rows()] == [1]


async def _certain(projections: ProjectionSupervisor, position: int) -> bool:
    return projections.position_of(Counting.name) == position


async def record_again(cluster: Cluster) -> int:
    """Append an event, retrying until it succeeds; failed attempts had no effect."""
    for _ in range(100):
        try:
            return await cluster.record("o-1", changed())
        except StoreUnavailable:
            await asyncio.sleep(0.1)
            cluster.forget("o-1")
    raise AssertionError("the database does not return")
