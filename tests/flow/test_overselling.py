"""Many callers want the same few articles: a real process, PostgreSQL and Temporal."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator

import pytest_asyncio
from intent.client import IntentClient
from intent.contracts import Registry
from intent.dev.platform import LocalPlatform
from intent.errors import Rejected
from intent_contracts.inventory.v1 import GetStock, ReceiveStock, ReserveStock, StockItem, StockLine

ORDERS = 1_000
UNITS = 100
CALLERS = 50


@pytest_asyncio.fixture
async def inventory() -> AsyncIterator[IntentClient]:
    """A client of a running inventory."""
    with LocalPlatform(durable=False) as platform:
        await platform.prepare("inventory")
        with platform.service("inventory") as running:
            async with IntentClient.connect(
                running.target, tenant="acme", registry=Registry.load(), timeout=60
            ) as client:
                yield client


async def test_a_thousand_orders_for_a_hundred_units_sell_exactly_these(inventory: IntentClient) -> None:
    tea = [StockLine(sku="tea", quantity=UNITS)]
    await inventory.execute(ReceiveStock(warehouse_id="w-1", lines=tea))
    outcomes: Counter[str] = Counter()

    async def caller(orders: Iterator[int]) -> None:
        for number in orders:
            outcomes[await _reserve(inventory, f"o-{number}")] += 1

    orders = iter(range(ORDERS))
    async with asyncio.TaskGroup() as group:
        for _ in range(CALLERS):
            group.create_task(caller(orders))

    assert outcomes == {"held": UNITS, "OUT_OF_STOCK tea 1 0": ORDERS - UNITS}
    left = await inventory.query(GetStock(warehouse_id="w-1", sku="tea"), StockItem)
    assert (left.on_hand, left.reserved, left.available) == (UNITS, UNITS, 0)


async def _reserve(inventory: IntentClient, order_id: str) -> str:
    lines = [StockLine(sku="tea", quantity=1)]
    command = ReserveStock(warehouse_id="w-1", reservation_id=order_id, order_id=order_id, lines=lines)
    try:
        await inventory.execute(command)
    except Rejected as refused:
        facts = refused.metadata
        return f"{refused.reason} {facts['sku']} {facts['wanted']} {facts['available']}"
    return "held"
