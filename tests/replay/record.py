"""Record histories of the platform's workflows: ``python -m tests.replay.record``.

Each change of a workflow must still replay every history in ``histories``; add new ones, never
overwrite or remove those of a release.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

from google.protobuf.message import Message
from intent.commands import CommandRequest
from intent.contracts import Registry
from intent.dev.platform import LocalPlatform
from intent.model import load_context
from intent.origin import Origin
from intent.process.assembly import CommandPath, ContextProcess
from intent.settings.config import load_settings
from intent.temporal import data_converter
from intent_contracts.orders.v1 import CancelOrder, ConfirmOrder, Money, OrderLine, PlaceOrder
from temporalio.client import Client

HISTORIES = Path(__file__).parent / "histories"


def _place(order_id: str) -> PlaceOrder:
    price = Money(minor_units=500, currency="EUR")
    return PlaceOrder(
        order_id=order_id,
        customer_id="ann",
        lines=[OrderLine(line_id="1", sku="tea", quantity=1, unit_price=price)],
    )


SCENARIOS: dict[str, Sequence[Message]] = {
    "one_command": [_place("o-1")],
    "rejection": [CancelOrder(order_id="missing", reason="why not")],
    "mixed_batch": [_place("o-2"), ConfirmOrder(order_id="o-2"), _place("o-2"), _place("o-3")],
}


async def _run(path: CommandPath, registry: Registry, commands: Sequence[Message], story: str) -> None:
    requests = [
        CommandRequest(registry.command(c.DESCRIPTOR.full_name), c, Origin("acme", uuid4(), story))
        for c in commands
    ]
    await asyncio.gather(*(path.router.handle(request) for request in requests), return_exceptions=True)


async def _save(client: Client, name: str, number: int, workflow_id: str) -> None:
    handle = client.get_workflow_handle(workflow_id)
    await handle.result()
    history = await handle.fetch_history()
    target = HISTORIES / f"process_commands_{name}_{number}.json"
    await asyncio.to_thread(target.write_text, history.to_json())


async def main() -> None:
    """Record one history per batch of each scenario."""
    bound = load_context("orders").bind(Registry.load())
    with LocalPlatform(durable=False) as platform:
        await platform.prepare("orders")
        settings = load_settings(
            context="orders",
            dev=True,
            port=0,
            metrics_port="off",
            database_url=platform.dsn("orders", "service"),
            query_database_url=platform.dsn("orders", "query"),
            temporal_address=platform.temporal.address,
        )
        client = await Client.connect(platform.temporal.address, data_converter=data_converter)
        known: set[str] = set()
        async with ContextProcess(settings, bound).started() as path:
            for name, commands in SCENARIOS.items():
                await _run(path, bound.registry, commands, name)
                await asyncio.sleep(2)
                found = {w.id async for w in client.list_workflows()} - known
                known |= found
                for number, workflow_id in enumerate(sorted(found)):
                    await _save(client, name, number, workflow_id)


if __name__ == "__main__":
    asyncio.run(main())
