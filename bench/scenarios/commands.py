"""Commands over gRPC against one bare no-op workflow per command."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Awaitable, Callable
from itertools import count
from uuid import uuid4

import grpc
from intent_contracts.intent.v1 import CommandResult
from intent_contracts.orders.v1 import ChangeLine, Money, OrderLine, PlaceOrder

from bench.baseline import bare_worker, no_op
from bench.load import Load, closed_loop
from bench.platform import Platform, rss_mib
from bench.report import Figure

TENANTS = 16
TURNS = 3
WINDOW = 8.0
WARM = 2.0
METADATA = [
    (("x-tenant-id", f"tenant-{number}"), ("x-actor", "bench"), ("x-roles", "customer,service"))
    for number in range(TENANTS)
]


class Caller:
    """A caller with one connection per tenant, like a lean client in any language."""

    def __init__(self, target: str) -> None:
        own = [("grpc.use_local_subchannel_pool", 1)]
        self._channels = [grpc.aio.insecure_channel(target, own) for _ in range(TENANTS)]
        self._place = [channel.unary_unary("/orders.v1.Orders/PlaceOrder") for channel in self._channels]
        self._change = [channel.unary_unary("/orders.v1.Orders/ChangeLine") for channel in self._channels]

    async def place(self, number: int, order_id: str | None = None) -> bytes:
        request = PlaceOrder(
            order_id=order_id or uuid4().hex, customer_id=f"customer-{number}", lines=_lines()
        )
        tenant = number % TENANTS
        reply: bytes = await self._place[tenant](request.SerializeToString(), metadata=METADATA[tenant])
        return reply

    async def change(self, number: int, order_id: str, quantity: int) -> CommandResult:
        request = ChangeLine(order_id=order_id, line_id="1", quantity=quantity)
        change = self._change[number % TENANTS]
        return CommandResult.FromString(await change(request.SerializeToString(), metadata=METADATA[0]))

    async def close(self) -> None:
        for channel in self._channels:
            await channel.close()


def _lines() -> list[OrderLine]:
    return [
        OrderLine(
            line_id=str(n), sku=f"sku-{n}", quantity=n, unit_price=Money(minor_units=999, currency="EUR")
        )
        for n in (1, 2, 3)
    ]


async def _in_turns(
    platform: Platform, call: Callable[[int], Awaitable[object]], callers: int
) -> tuple[Load, Load]:
    """Return the loads of `call` and of the better no-op, which take turns under the same conditions.

    A turn is long compared with the latency of a no-op, which is over a second with 256 callers: all
    start at once, so their answers come in waves, and a short window counts a wave more or less.
    """
    ours, eager, plain = Load(), Load(), Load()
    async with bare_worker(platform.temporal.address) as client:
        await no_op(client, callers=20, seconds=1.0, eager=True)
        for _ in range(TURNS):
            eager += await no_op(client, callers=callers, seconds=WINDOW, warm=WARM, eager=True)
            plain += await no_op(client, callers=callers, seconds=WINDOW, warm=WARM, eager=False)
            ours += await closed_loop(call, callers=callers, seconds=WINDOW, warm=WARM)
    return ours, max(eager, plain, key=lambda load: load.rate)


async def _against_no_op(platform: Platform, callers: int, bar: float) -> Figure:
    with platform.context():
        caller = Caller(platform.target)
        await closed_loop(caller.place, callers=callers, seconds=2.0)
        ours, baseline = await _in_turns(platform, caller.place, callers)
        await caller.close()
    note = f"p50 {ours.percentile(0.5) * 1e3:.0f} ms, p99 {ours.percentile(0.99) * 1e3:.0f} ms"
    return Figure(ours.rate, "commands/s", baseline.rate, bar, note=note)


async def execute_256(platform: Platform) -> Figure:
    """Measure commands on distinct aggregates of 16 tenants, with 256 callers."""
    return await _against_no_op(platform, 256, 12)


async def execute_50(platform: Platform) -> Figure:
    """Measure the same with 50 callers."""
    return await _against_no_op(platform, 50, 5)


async def execute_1_p50(platform: Platform) -> Figure:
    """Measure the median latency of one caller, taking turns with the baseline."""
    ours: list[float] = []
    theirs: list[float] = []
    with platform.context():
        caller = Caller(platform.target)
        async with bare_worker(platform.temporal.address) as client:
            for _ in range(6):
                theirs += (await no_op(client, callers=1, seconds=1.5, eager=True)).latencies
                ours += (await closed_loop(caller.place, callers=1, seconds=1.5)).latencies
        await caller.close()
    warm = len(ours) // 6
    value, baseline = statistics.median(ours[warm:]) * 1e3, statistics.median(theirs[warm:]) * 1e3
    return Figure(value, "ms", baseline, 2.5, at_most=True, note="with read models reached")


async def hot_aggregate_200(platform: Platform) -> Figure:
    """Measure 200 callers that change one order; versions must be contiguous and every caller answered."""
    versions: list[int] = []
    quantities = count(1)
    order_id = uuid4().hex
    with platform.context():
        caller = Caller(platform.target)

        async def change(number: int) -> None:
            result = await caller.change(number, order_id, next(quantities) % 9000 + 1)
            versions.append(result.version)

        await caller.place(0, order_id)
        ours, baseline = await _in_turns(platform, change, 200)
        await caller.close()
    if sorted(versions) != list(range(2, len(versions) + 2)):
        raise AssertionError("the versions of the hot aggregate are not contiguous")
    note = f"{len(versions):,} contiguous versions, p50 {ours.percentile(0.5) * 1e3:.0f} ms"
    return Figure(ours.rate, "commands/s", baseline.rate, 4, note=note)


async def idle_rss_mib(platform: Platform) -> Figure:
    """Measure the resident memory of a context process that has started and does nothing."""
    with platform.context() as service:
        await asyncio.sleep(5)
        value = rss_mib(service)
    return Figure(value, "MiB", None, 150, at_most=True)


SCENARIOS = {
    "execute_256": execute_256,
    "execute_50": execute_50,
    "execute_1_p50": execute_1_p50,
    "hot_aggregate_200": hot_aggregate_200,
    "idle_rss_mib": idle_rss_mib,
}
