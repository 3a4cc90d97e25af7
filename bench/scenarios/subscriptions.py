"""What subscriptions that wait cost whoever appends."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from intent.background import Background
from intent.store import LogFilter, LogFollower, LogTail
from intent.store.postgres import PostgresEventStore

from bench.orders import order, placed
from bench.platform import Platform
from bench.report import Figure
from bench.scenarios.store import opened

SUBSCRIPTIONS = 2000
APPENDS = 300
PER_SECOND = 30
REPORTS = 5.0
"""Seconds between two reports of a subscription's position, as in a context process."""


@asynccontextmanager
async def waiting(store: PostgresEventStore, count: int) -> AsyncIterator[None]:
    """Run subscriptions of tenants of which no event comes."""
    tail, after = LogTail(store, Background()), await store.position()
    async with tail.followed():
        tasks = []
        for n in range(count):
            follower = LogFollower(store, tail, after, LogFilter(f"idle-{n}"), pause=REPORTS)
            await follower.next()
            tasks.append(asyncio.create_task(follow(follower)))
            # Callers come one after the other, and so do their reports.
            await asyncio.sleep(REPORTS / count)
        yield
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks or [asyncio.create_task(asyncio.sleep(0))])
    await tail.stop()


async def follow(follower: LogFollower) -> None:
    """Read without end."""
    while await follower.next() is not None:
        pass


async def appends(store: PostgresEventStore) -> tuple[list[float], float]:
    """Append at a steady rate; return how many milliseconds each took, and of the processor on average."""
    took = []
    started, worked = time.perf_counter(), time.process_time()
    for n in range(APPENDS):
        await asyncio.sleep(max(0.0, started + n / PER_SECOND - time.perf_counter()))
        began = time.perf_counter()
        await store.append([order(n, [placed(n)])])
        took.append((time.perf_counter() - began) * 1e3)
    return took, (time.process_time() - worked) / APPENDS * 1e3


async def idle_subscriptions(platform: Platform) -> Figure:
    """Measure by how much more an append costs while 2,000 subscriptions of other tenants wait.

    The bar is for the processor's time, which is what holds up an append in the same process, and which
    other work on the machine does not change.
    """
    async with opened(platform) as store:
        await appends(store)
        async with waiting(store, 0):
            alone, alone_worked = await appends(store)
        async with waiting(store, SUBSCRIPTIONS):
            beside, beside_worked = await appends(store)
    medians = [statistics.median(took) for took in (alone, beside)]
    tails = [statistics.quantiles(took, n=20)[-1] for took in (alone, beside)]
    note = f"median {medians[0]:.2f} to {medians[1]:.2f} ms, 95 % {tails[0]:.2f} to {tails[1]:.2f} ms"
    return Figure(beside_worked - alone_worked, "ms", None, 2.0, at_most=True, note=note)


SCENARIOS = {"idle_subscriptions": idle_subscriptions}
