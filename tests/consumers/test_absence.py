"""PostgreSQL stops and returns under a consumer: no event is missed, and nobody has to intervene."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import grpc
import pytest
import pytest_asyncio
from intent.dev.services import Postgres
from intent.errors import StoreUnavailable

from ..support.databases import Database, create_database, prepare
from .cluster import Cluster, Process, Worker, cluster_on, until
from .test_consuming import in_order, versions_by_order


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """A server that may be stopped and killed; it keeps what it has committed."""
    with tempfile.TemporaryDirectory(prefix="intent-tests-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        with Postgres(Path(folder) / "data", settings={"fsync": "off"}) as started:
            yield started


@pytest_asyncio.fixture
async def own(server: Postgres) -> AsyncIterator[Cluster]:
    database = Database.of(server, await create_database(server), "orders")
    await prepare(database)
    async with cluster_on(database) as cluster:
        yield cluster


class Persistent:
    """An instance that joins again whenever its call ends, and fails one event of each order once."""

    def __init__(self, cluster: Cluster, process: Process) -> None:
        self._cluster = cluster
        self._process = process
        self._failed: set[str] = set()
        self.seen: list[tuple[str, int]] = []

    async def run(self) -> None:
        while True:
            worker = await self._cluster.joined(self._process, wait=False)
            working = asyncio.create_task(self._work(worker))
            try:
                assert await worker.ended() is grpc.StatusCode.UNAVAILABLE
            finally:
                working.cancel()
            await asyncio.sleep(0.05)

    async def _work(self, worker: Worker) -> None:
        while True:
            delivery = await worker.take()
            order, version = delivery.event.aggregate_id, delivery.event.version
            if version == 2 and order not in self._failed:
                self._failed.add(order)
                await worker.fail(delivery)
                continue
            self.seen.append((order, version))
            await worker.acknowledge(delivery)


@pytest.mark.chaos
@pytest.mark.parametrize("outage", ["stop", "kill"])
async def test_a_consumer_continues_after_an_outage_of_the_database(
    server: Postgres, own: Cluster, outage: str
) -> None:
    process = await own.process()
    instance = Persistent(own, process)
    running = asyncio.create_task(instance.run())
    for _ in range(2):
        await own.record_many(orders=8, rounds=3)

        async def some() -> bool:
            return len(instance.seen) > 5

        await until(some)
        await asyncio.to_thread(getattr(server, outage))
        await asyncio.to_thread(server.restart)
    last = await own.record_many(orders=8, rounds=1)

    async def caught_up() -> bool:
        assert not running.done(), running.exception()
        try:
            rows = await process.host.database.list("acme")
        except StoreUnavailable:
            return False
        return [row.position for row in rows] == [last]

    await until(caught_up)
    running.cancel()
    orders = versions_by_order(instance.seen)
    assert len(orders) == 8
    for order, versions in orders.items():
        assert in_order(versions), (order, versions)
        assert versions[-1] == 7
