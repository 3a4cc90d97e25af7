"""Event types belong to a consumer: releases that handle different ones share its work and lose nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from .cluster import QUICK, TIMEOUT, Cluster, Process, Worker
from .test_parking import caught_up

OLD = "orders.v1.OrderConfirmed"
NEW = "orders.v1.OrderCancelled"
COUNT = 40


class Handled:
    """The positions that instances of a consumer acknowledged."""

    def __init__(self) -> None:
        self.positions: set[int] = set()
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def by(self, worker: Worker) -> AsyncIterator[None]:
        """Let an instance acknowledge whatever arrives."""
        task = asyncio.create_task(self._acknowledge(worker))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    @asynccontextmanager
    async def by_instance(self, cluster: Cluster, process: Process, *types: str) -> AsyncIterator[None]:
        """Let an instance join, acknowledge whatever arrives, and join again when it is told to."""
        worker = await cluster.joined(process, types=types)
        task = asyncio.create_task(self._consume(cluster, process, worker, types))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def has(self, positions: Collection[int]) -> None:
        """Wait until these are acknowledged."""
        async with asyncio.timeout(TIMEOUT), self._changed:
            await self._changed.wait_for(lambda: self.positions >= set(positions))

    async def _consume(
        self, cluster: Cluster, process: Process, worker: Worker, types: Collection[str]
    ) -> None:
        while True:
            async with self.by(worker):
                failure = await worker.failure()
            assert failure.reason == "CONSUMER_ENDED", failure
            worker = await cluster.joined(process, types=types)

    async def _acknowledge(self, worker: Worker) -> None:
        while True:
            delivery = await worker.take()
            await worker.acknowledge(delivery)
            async with self._changed:
                self.positions.add(delivery.event.position)
                self._changed.notify_all()


@pytest.fixture
def handled() -> Handled:
    return Handled()


async def record(cluster: Cluster, *types: str) -> Sequence[int]:
    """Record events of each type, each of an aggregate of its own."""
    return [await cluster.record(f"{kind}-{n}", kind) for n in range(COUNT) for kind in types]


async def test_a_rolling_update_that_adds_a_type_loses_no_event(
    cluster: Cluster, process: Process, handled: Handled
) -> None:
    async with handled.by_instance(cluster, process, OLD):
        await handled.has(await record(cluster, OLD))
        async with handled.by_instance(cluster, process, OLD, NEW):
            # At once: whoever has the partitions now is about to give them up.
            positions = await record(cluster, OLD, NEW)
            await caught_up(process.client(), positions[-1])
            assert set(positions) - handled.positions == set()


async def test_what_only_an_instance_that_is_gone_handles_waits_for_it(
    cluster: Cluster, process: Process, handled: Handled
) -> None:
    new = await cluster.joined(process, types=[OLD, NEW])
    old = await cluster.joined(process, types=[OLD])
    await new.vanish()
    async with handled.by(old):
        await cluster.record("o-1", OLD, NEW, OLD, OLD)
        await cluster.record("o-2", OLD, OLD)
        await handled.has([1, 5, 6])
    new = await cluster.joined(process, types=[OLD, NEW])
    async with handled.by(new):
        await handled.has(range(1, 7))
    assert sorted(old.seen) == [("o-1", 1), ("o-2", 1), ("o-2", 2)]
    assert new.seen == [("o-1", 2), ("o-1", 3), ("o-1", 4)]


async def test_what_no_instance_handles_any_more_passes_after_a_while(
    cluster: Cluster, handled: Handled, caplog: pytest.LogCaptureFixture
) -> None:
    process = await cluster.process(replace(QUICK, lease=1.0, types_kept=0.5))
    new = await cluster.joined(process, types=[OLD, NEW])
    old = await cluster.joined(process, types=[OLD])
    await new.vanish()
    async with handled.by(old):
        last = await cluster.record("o-1", NEW, OLD)
        await handled.has([last])
    await caught_up(process.client(), last)
    assert f"no instance has handled {NEW} for" in caplog.text


async def test_instances_of_which_none_handles_all_types_lose_nothing(
    cluster: Cluster, process: Process, handled: Handled
) -> None:
    one, other = (handled.by_instance(cluster, process, kind) for kind in (OLD, NEW))
    async with one, other:
        positions = await record(cluster, OLD, NEW)
        # What the wrong one of them got waits.
        async with handled.by_instance(cluster, process, OLD, NEW):
            await handled.has(positions)
