"""Sagas across four contexts, compared with bare workflows of four activities."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from intent.client import IntentClient
from intent.contracts import Registry
from intent.dev.platform import ContextService
from intent.temporal import data_converter, names
from intent_contracts.intent.v1 import SagaReport, SagaStatus
from intent_contracts.inventory.v1 import ReceiveStock, StockLine
from intent_contracts.orders.v1 import Checkout, Money, OrderLine, PlaceOrder, Receiver
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode

from bench.baseline import bare_worker, four_activities
from bench.load import Load, closed_loop
from bench.platform import PRODUCTION, Platform
from bench.report import Figure
from bench.sagas import MEASURED
from bench.starting import SOCKET, Starter

CONTEXTS = ("inventory", "orders", "payments", "shipping")
CALLERS = 60
TURNS = 4
WINDOW = 8.0
WARM = 3.0
AHEAD = 5_000
PER_WAREHOUSE = 100
TENANT = "acme"
SWIFT = {
    "PAYMENTS_PROVIDER_LATENCY_MS": "0",
    "SHIPPING_CARRIER_LATENCY_MS": "0",
    "SHIPPING_CARRIER_HAND_OVER_MS": "0",
    "SHIPPING_CARRIER_ARRIVE_MS": "0",
}


class Shopper:
    """A customer that places orders and waits for the sagas that fulfil them."""

    def __init__(self, services: dict[str, ContextService], client: Client, starter: Starter) -> None:
        registry = Registry.load()
        roles = ("customer", "service")
        self._client = client
        self._orders, self._inventory = (
            IntentClient.connect(services[name].target, tenant=TENANT, roles=roles, registry=registry)
            for name in ("orders", "inventory")
        )
        self._starter = starter
        self._placed: Counter[int] = Counter()
        self._waiting: list[PlaceOrder] = []

    async def place(self, caller: int) -> PlaceOrder:
        """Place an order to be fulfilled from a warehouse of its caller."""
        number = self._placed[caller]
        self._placed[caller] += 1
        warehouse = f"w-{caller}-{number // PER_WAREHOUSE}"
        if number % PER_WAREHOUSE == 0:
            stock = [StockLine(sku="tea", quantity=PER_WAREHOUSE)]
            await self._inventory.execute(ReceiveStock(warehouse_id=warehouse, lines=stock))
        order = _placing(uuid4().hex, warehouse)
        await self._orders.execute(order)
        return order

    async def place_ahead(self, count: int) -> None:
        """Place orders whose sagas `fulfil` starts."""

        async def place(caller: int) -> None:
            self._waiting.append(await self.place(caller))

        await closed_loop(place, callers=CALLERS, calls=count)

    async def fulfil(self, caller: int) -> None:
        """Start the saga of an order that was placed ahead and wait for its end."""
        order = self._waiting.pop() if self._waiting else await self.place(caller)
        await self._starter.start(order)
        _require_completed(order, await self._saga(order).result())

    async def order(self, caller: int) -> None:
        """Place an order and wait for the end of its saga, which starts a moment after the answer."""
        order = await self.place(caller)
        while True:
            try:
                return _require_completed(order, await self._saga(order).result())
            except RPCError as error:
                if error.status != RPCStatusCode.NOT_FOUND:
                    raise
                await asyncio.sleep(0.05)

    def _saga(self, order: PlaceOrder) -> WorkflowHandle[object, SagaReport]:
        workflow_id = names.saga_workflow_id(MEASURED, TENANT, order.order_id)
        return self._client.get_workflow_handle(workflow_id, result_type=SagaReport)

    async def close(self) -> None:
        await self._starter.close()
        await self._orders.close()
        await self._inventory.close()


def _require_completed(order: PlaceOrder, report: SagaReport) -> None:
    if report.status != SagaStatus.SAGA_STATUS_COMPLETED:
        raise AssertionError(f"the saga of order {order.order_id} did not complete: {report}")


def _placing(order_id: str, warehouse: str) -> PlaceOrder:
    price = Money(minor_units=450, currency="EUR")
    receiver = Receiver(name="Ann", street="Road 1", postal_code="12345", city="Town", country="DE")
    return PlaceOrder(
        order_id=order_id,
        customer_id="ann",
        lines=[OrderLine(line_id="1", sku="tea", quantity=1, unit_price=price)],
        checkout=Checkout(card_token="tok-ok", warehouse_id=warehouse, ship_to=receiver),
    )


@asynccontextmanager
async def _shopper(platform: Platform, module: str) -> AsyncIterator[Shopper]:
    """Run the four contexts, each as a process of its own, and yield a customer."""
    for context in CONTEXTS:
        await platform.prepare(context)
    with ExitStack() as stack:
        socket = Path(stack.enter_context(TemporaryDirectory(prefix="intent-bench-"))) / "starts"
        environment = {**PRODUCTION, **SWIFT, SOCKET: str(socket)}
        services = {
            context: stack.enter_context(
                platform.service(context, module=module, environment=environment, log_level="warning")
            )
            for context in CONTEXTS
        }
        client = await Client.connect(platform.temporal.address, data_converter=data_converter)
        shopper = Shopper(services, client, Starter(socket, TENANT))
        yield shopper
        await shopper.close()


async def order_saga_60(platform: Platform) -> Figure:
    """Measure four commands in four contexts, 60 sagas at once, against four no-op activities.

    The two take turns; the orders are placed ahead, see `bench.starting`.
    """
    ours, bare = Load(), Load()
    async with (
        _shopper(platform, "bench.serving") as shopper,
        bare_worker(platform.temporal.address) as client,
    ):
        await shopper.place_ahead(AHEAD)
        await closed_loop(shopper.fulfil, callers=CALLERS, seconds=2.0)
        await four_activities(client, callers=CALLERS, seconds=1.0)
        for _ in range(TURNS):
            bare += await four_activities(client, callers=CALLERS, seconds=WINDOW, warm=WARM)
            ours += await closed_loop(shopper.fulfil, callers=CALLERS, seconds=WINDOW, warm=WARM)
    note = f"p50 {ours.percentile(0.5) * 1e3:,.0f} ms, bare {bare.percentile(0.5) * 1e3:,.0f} ms"
    return Figure(ours.rate, "sagas/s", bare.rate, 1.2, note=note)


async def fulfil_order_60(platform: Platform) -> Figure:
    """Measure the whole FulfilOrder up to the delivered parcel, with the reports of external partners."""
    async with _shopper(platform, "intent.cli") as shopper:
        await closed_loop(shopper.order, callers=CALLERS, seconds=4.0)
        ours = await closed_loop(shopper.order, callers=CALLERS, seconds=20.0, warm=5.0)
    return Figure(ours.rate, "orders/s", None, None, note=f"p50 {ours.percentile(0.5) * 1e3:,.0f} ms")


SCENARIOS = {"order_saga_60": order_saga_60, "fulfil_order_60": fulfil_order_60}
