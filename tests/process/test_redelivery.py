"""Temporal's data is lost while an order is fulfilled: the log restores its saga, without a second effect."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest_asyncio
from intent.client import IntentClient
from intent.contracts import Registry
from intent.dev.platform import LocalPlatform
from intent.temporal import data_converter
from intent_contracts.intent.v1 import SagaReport, SagaStepStatus
from intent_contracts.inventory.v1 import GetStock, ReceiveStock, StockItem, StockLine
from intent_contracts.orders.v1 import Checkout, Money, OrderLine, PlaceOrder, Receiver
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError

_LONGEST = 90.0
_SAGA = "orders.v1.FulfilOrder/acme/o-1"
_ORDER = PlaceOrder(
    order_id="o-1",
    customer_id="ann",
    lines=[OrderLine(line_id="1", sku="tea", quantity=2, unit_price=Money(minor_units=450, currency="EUR"))],
    checkout=Checkout(
        card_token="tok_visa",
        warehouse_id="w-1",
        ship_to=Receiver(name="Ann", street="Lane 1", postal_code="1", city="Town", country="DE"),
    ),
)


@pytest_asyncio.fixture
async def platform() -> AsyncIterator[LocalPlatform]:
    with LocalPlatform(durable=False, keep_workflows=False) as running:
        for context in ("orders", "inventory"):
            await running.prepare(context)
        yield running


async def _saga(platform: LocalPlatform) -> WorkflowHandle[object, object]:
    client = await Client.connect(platform.temporal.address, data_converter=data_converter)
    return client.get_workflow_handle(_SAGA)


async def _reserved(platform: LocalPlatform) -> SagaReport:
    """Wait until the saga has reserved the goods; nobody answers its request for the payment here."""
    saga = await _saga(platform)
    async with asyncio.timeout(_LONGEST):
        while True:
            try:
                report: SagaReport = await saga.query("report", result_type=SagaReport)
            except RPCError:
                report = SagaReport()
            if [step.status for step in report.steps[:1]] == [SagaStepStatus.SAGA_STEP_STATUS_DONE]:
                return report
            await asyncio.sleep(0.2)


def _redeliver(platform: LocalPlatform, *options: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "intent.cli", "redeliver", "orders", *options],
        env={**os.environ, **platform.settings("orders")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


async def test_sagas_come_back_from_the_log_and_have_no_second_effect(platform: LocalPlatform) -> None:
    inventory, orders = platform.service("inventory"), platform.service("orders")
    with inventory, orders:
        async with (
            IntentClient.connect(
                inventory.target, tenant="acme", registry=Registry.load(), timeout=60
            ) as stock,
            IntentClient.connect(
                orders.target, tenant="acme", registry=Registry.load(), timeout=60
            ) as selling,
        ):
            await stock.execute(ReceiveStock(warehouse_id="w-1", lines=[StockLine(sku="tea", quantity=10)]))
            await selling.execute(_ORDER)
            before = await _reserved(platform)

    platform.temporal.stop()
    assert "deliver the events after position 0, up to 2, once more" in _redeliver(platform, "--no-wait")
    platform.temporal.start()
    assert "no process of orders with a worker runs now" in _redeliver(platform)

    with inventory, orders:
        await _reserved(platform)
        # Temporal knows the saga again, so another redelivery changes nothing.
        assert "after position 0, up to 2, were delivered once more" in _redeliver(platform)
        after = await _reserved(platform)
        async with IntentClient.connect(
            inventory.target, tenant="acme", registry=Registry.load(), timeout=60
        ) as stock:
            left = await stock.query(GetStock(warehouse_id="w-1", sku="tea"), StockItem)
    assert after.steps[0].command_id == before.steps[0].command_id
    assert (left.on_hand, left.reserved) == (10, 2)
