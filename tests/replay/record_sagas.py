"""Record histories of sagas: ``python -m tests.replay.record_sagas [release]``.

Each change of a saga, or of what runs sagas, must still replay every history in ``histories``; add
new ones under a new release, never overwrite or remove those of an earlier one.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path

from intent.client import IntentClient
from intent.contracts import Registry, snake_case
from intent.dev.platform import ContextService, LocalPlatform
from intent.temporal import data_converter
from intent_contracts.inventory.v1 import ReceiveStock, StockLine
from intent_contracts.orders.v1 import CancelOrder, Checkout, Money, OrderLine, PlaceOrder, Receiver
from temporalio.client import Client, WorkflowExecutionStatus

HISTORIES = Path(__file__).parent / "histories"
CONTEXTS = ("inventory", "orders", "payments", "shipping")
TENANT = "acme"
PATIENCE = 90.0
SWIFT = {"SHIPPING_CARRIER_HAND_OVER_MS": "500", "SHIPPING_CARRIER_ARRIVE_MS": "500"}


def _place(order_id: str, *, sku: str = "tea", card: str = "tok-ok", postal_code: str = "1") -> PlaceOrder:
    price = Money(minor_units=450, currency="EUR")
    receiver = Receiver(name="Ann", street="Road 1", postal_code=postal_code, city="Town", country="DE")
    return PlaceOrder(
        order_id=order_id,
        customer_id="ann",
        lines=[OrderLine(line_id="1", sku=sku, quantity=1, unit_price=price)],
        checkout=Checkout(card_token=card, warehouse_id="w-1", ship_to=receiver),
    )


ORDERS = [
    _place("delivered"),
    _place("declined", card="tok-decline-card-expired"),
    _place("out-of-stock", sku="gold"),
    _place("returned", postal_code="return-nobody-home"),
    _place("repeated", card="tok-twice", postal_code="twice"),
    _place("not-captured", card="tok-capture-declined"),
    _place("cancelled-early", card="tok-slow"),
    _place("cancelled-late"),
]


async def _send_commands(orders: IntentClient, inventory: IntentClient) -> None:
    await inventory.execute(
        ReceiveStock(warehouse_id="w-1", lines=[StockLine(sku="tea", quantity=len(ORDERS))])
    )
    await asyncio.gather(*(orders.execute(place) for place in ORDERS))
    for order_id in ("cancelled-early", "cancelled-late"):
        await orders.execute(CancelOrder(order_id=order_id, reason="changed my mind"))


async def _until(check: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await check():  # noqa: ASYNC110 - it looks at other processes
            await asyncio.sleep(0.2)


async def _save(client: Client, release: str) -> None:
    async for found in client.list_workflows():
        saga, _, rest = found.id.partition("/")
        _, _, correlation = rest.partition("/")
        if not saga.startswith(CONTEXTS) or saga in CONTEXTS:
            continue
        history = await client.get_workflow_handle(found.id, run_id=found.run_id).fetch_history()
        name = f"saga_{snake_case(saga.rpartition('.')[2])}_{correlation.replace('/', '_')}_{release}.json"
        await asyncio.to_thread((HISTORIES / name).write_text, history.to_json())


async def _quiet(client: Client) -> bool:
    running = [w async for w in client.list_workflows(f"ExecutionStatus = '{_RUNNING}'")]
    return not running


_RUNNING = WorkflowExecutionStatus.RUNNING.name.title()


async def main(release: str) -> None:
    """Run sagas of every outcome in four real contexts and record each of them."""
    with LocalPlatform(durable=False) as platform, ExitStack() as stack:
        services: dict[str, ContextService] = {}
        for context in CONTEXTS:
            await platform.prepare(context)
            services[context] = stack.enter_context(platform.service(context, environment=SWIFT))
        registry = Registry.load()
        orders, inventory = (
            IntentClient.connect(services[name].target, tenant=TENANT, registry=registry, timeout=PATIENCE)
            for name in ("orders", "inventory")
        )
        client = await Client.connect(platform.temporal.address, data_converter=data_converter)
        await _send_commands(orders, inventory)
        await _until(lambda: _quiet(client))
        await _save(client, release)


if __name__ == "__main__":
    asyncio.run(main(*(sys.argv[1:] or ["1"])))
