"""What is counted of consumers, for metrics."""

from __future__ import annotations

import asyncio

from .cluster import Cluster, Process, until


async def test_a_consumer_that_begins_while_the_metrics_are_read_is_counted(
    cluster: Cluster, process: Process
) -> None:
    async def begins() -> bool:
        return bool(process.host.counters())

    async with process.host._lease_lock:
        joining = asyncio.create_task(cluster.joined(process))
        await until(begins)
        await process.host._read_metrics()
    worker = await joining
    await cluster.record("o-1")
    await worker.take()
    assert [counters.deliveries for counters in process.host.counters()] == [1]
