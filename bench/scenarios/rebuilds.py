"""Commands beside rebuilds of read models."""

from __future__ import annotations

import asyncio
import statistics

from intent.client import IntentClient
from intent.contracts import Registry
from intent.store.postgres import PostgresEventStore

from bench.load import Load, closed_loop
from bench.orders import order, placed
from bench.platform import CONTEXT, Platform
from bench.report import Figure
from bench.scenarios.commands import Caller

ORDERS = 10_000
BATCH = 250
CALLERS = 50
PAIRS = 6
WINDOW = 3.0
_READ_MODELS = ("OrderViews", "OrderSummaries")


async def commands_during_rebuild(_: Platform) -> Figure:
    """Measure commands while both read models are rebuilt, against commands without, in turns.

    The rebuilds go on through the whole window, and end in the quiet after it. The median of the pairs
    counts, since whatever else the machine does hits a window now and then.
    """
    ratios: list[float] = []
    without, during = Load(), Load()
    # A platform of its own: the log of the other scenarios would take minutes to rebuild from.
    with Platform() as platform:
        await platform.prepare(CONTEXT)
        await _fill(platform)
        with platform.context():
            caller = Caller(platform.target)
            await _reached(platform, caller)
            for number in range(PAIRS):
                windows = [_plain(caller), _beside(platform, caller)]
                # What the machine does more and more of, or less, hits both alike.
                loads = [await window for window in (windows if number % 2 else reversed(windows))]
                plain, beside = loads if number % 2 else reversed(loads)
                ratios.append(beside.rate / plain.rate)
                without, during = without + plain, during + beside
            await caller.close()
    note = (
        f"p50 {during.percentile(0.5) * 1e3:.0f} ms, without {without.percentile(0.5) * 1e3:.0f}; "
        f"pairs {', '.join(f'{ratio:.2f}' for ratio in ratios)}"
    )
    return Figure(without.rate * statistics.median(ratios), "commands/s", without.rate, 0.9, note=note)


async def _fill(platform: Platform) -> None:
    store = await PostgresEventStore.open(platform.dsn(CONTEXT, "service"), CONTEXT)
    for first in range(0, ORDERS, BATCH):
        await store.append([order(n, [placed(n)]) for n in range(first, first + BATCH)])
    await store.close()


async def _reached(platform: Platform, caller: Caller) -> None:
    """Wait until the read models have what was there before the process, which takes all of it."""
    async with _connected(platform) as client:
        while any(status.lag for status in (await client.projections.list()).projections):  # noqa: ASYNC110
            await asyncio.sleep(0.5)
    await closed_loop(caller.place, callers=CALLERS, seconds=2.0)


def _connected(platform: Platform) -> IntentClient:
    return IntentClient.connect(platform.target, tenant="tenant-0", registry=Registry.load())


async def _plain(caller: Caller) -> Load:
    return await closed_loop(caller.place, callers=CALLERS, seconds=WINDOW)


async def _beside(platform: Platform, caller: Caller) -> Load:
    """Return the load of a window in which the read models are rebuilt; wait until they are."""
    async with _connected(platform) as client:
        rebuilds = [asyncio.create_task(_rebuild(client, name)) for name in _READ_MODELS]
        load = await _plain(caller)
        if any(task.done() for task in rebuilds):
            raise AssertionError("a rebuild ended within the window; it takes more orders")
        await asyncio.gather(*rebuilds)
    return load


async def _rebuild(client: IntentClient, name: str) -> None:
    async for _ in client.projections.rebuild(name):
        pass


SCENARIOS = {"commands_during_rebuild": commands_during_rebuild}
