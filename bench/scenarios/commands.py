"""Commands over gRPC against one bare no-op workflow per command."""

from __future__ import annotations

import asyncio
import statistics
from itertools import count
from uuid import uuid4

import grpc
from intent_contracts.intent.v1 import CommandResult
from intent_contracts.orders.v1 import ChangeLine, Money, OrderLine, PlaceOrder

from bench.baseline import bare_worker, best_no_op, no_op
from bench.load import Load, closed_loop
from bench.platform import Platform, rss_mib
from bench.report import Figure

TENANTS = 16
METADATA = [
    (("x-tenant-id", f"tenant-{number}"), ("x-actor", "bench"), ("x-roles", "customer,service"))
    for number in range(TENANTS)
]


class Caller:
    """Sends commands over one channel, as a lean client of any language would."""

    def __init__(self, target: str) -> None:
        self._channel = grpc.aio.insecure_channel(target)
        self._place = self._channel.unary_unary("/orders.v1.Orders/PlaceOrder")
        self._change = self._channel.unary_unary("/orders.v1.Orders/ChangeLine")

    async def place(self, number: int, order_id: str | None = None) -> bytes:
        request = PlaceOrder(
            order_id=order_id or uuid4().hex, customer_id=f"customer-{number}", lines=_lines()
        )
        reply: bytes = await self._place(request.SerializeToString(), metadata=METADATA[number % TENANTS])
        return reply

    async def change(self, order_id: str, quantity: int) -> CommandResult:
        request = ChangeLine(order_id=order_id, line_id="1", quantity=quantity)
        return CommandResult.FromString(await self._change(request.SerializeToString(), metadata=METADATA[0]))

    async def close(self) -> None:
        await self._channel.close()


def _lines() -> list[OrderLine]:
    return [
        OrderLine(
            line_id=str(n), sku=f"sku-{n}", quantity=n, unit_price=Money(minor_units=999, currency="EUR")
        )
        for n in (1, 2, 3)
    ]


async def _execute(platform: Platform, callers: int, seconds: float) -> Load:
    caller = Caller(platform.target)
    try:
        return await closed_loop(caller.place, callers=callers, seconds=seconds, warm=3.0)
    finally:
        await caller.close()


async def _against_no_op(platform: Platform, callers: int, bar: float) -> Figure:
    baseline = await best_no_op(platform.temporal.address, callers=callers, seconds=6.0)
    with platform.context():
        ours = await _execute(platform, callers, seconds=10.0)
    note = f"p50 {ours.percentile(0.5) * 1e3:.0f} ms, p99 {ours.percentile(0.99) * 1e3:.0f} ms"
    return Figure(ours.rate, "commands/s", baseline.rate, bar, note=note)


async def execute_256(platform: Platform) -> Figure:
    """Distinct aggregates of 16 tenants, 256 callers."""
    return await _against_no_op(platform, 256, 12)


async def execute_50(platform: Platform) -> Figure:
    """The same with 50 callers."""
    return await _against_no_op(platform, 50, 5)


async def execute_1_p50(platform: Platform) -> Figure:
    """One caller's median latency; the two take turns so that both see the same machine."""
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
    """200 callers change one order; versions must be contiguous and every caller answered."""
    baseline = await best_no_op(platform.temporal.address, callers=200, seconds=6.0)
    with platform.context():
        caller = Caller(platform.target)
        order_id = uuid4().hex
        await caller.place(0, order_id)
        versions: list[int] = []
        quantities = count(1)

        async def change(_: int) -> None:
            result = await caller.change(order_id, next(quantities) % 9000 + 1)
            versions.append(result.version)

        ours = await closed_loop(change, callers=200, seconds=10.0)
        await caller.close()
    if sorted(versions) != list(range(2, len(versions) + 2)):
        raise AssertionError("the versions of the hot aggregate are not contiguous")
    note = f"{len(versions):,} contiguous versions, p50 {ours.percentile(0.5) * 1e3:.0f} ms"
    return Figure(ours.rate, "commands/s", baseline.rate, 4, note=note)


async def idle_rss_mib(platform: Platform) -> Figure:
    """Resident memory of a context process that has started and does nothing."""
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
