"""The workflow of docs/writing-a-workflow.md, run as the page shows it, and what the page promises."""

from __future__ import annotations

import importlib
import re
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from google.protobuf.message import Message
from intent.dev.services import TemporalServer
from intent.model import BoundContext
from intent.process.assembly import CommandPath
from intent.records import StreamKey
from intent.settings.config import Settings
from intent.temporal import data_converter, names
from intent.temporal.workflow_kit import command_envelope, event_payload
from intent_contracts.intent.v1 import (
    ApplyRequest,
    CommandOutcome,
    LoadRequest,
    ProjectRequest,
    RouteRequest,
)
from intent_contracts.inventory.v1 import StockReceived
from intent_contracts.orders.v1 import ConfirmOrder, OrderConfirmed, OrderPlaced
from temporalio.client import Client, WorkflowExecutionStatus

from ..support.command_path import Requests, place

PAGE = Path(__file__).parents[2] / "docs" / "writing-a-workflow.md"
MODULE = "order_import_of_the_page"


@pytest_asyncio.fixture
async def settings(settings: Settings) -> Settings:
    """Settings of a process that ends soon: its saga waits for `inventory`, which does not run."""
    return settings.model_copy(update={"drain_timeout": 1.0})


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The first block of code on the page, as a module."""
    block = re.search(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert block is not None
    (tmp_path / f"{MODULE}.py").write_text(block[1])
    monkeypatch.syspath_prepend(tmp_path)
    return importlib.import_module(MODULE)


@pytest_asyncio.fixture
async def client(temporal: TemporalServer) -> AsyncIterator[Client]:
    yield await Client.connect(temporal.address, data_converter=data_converter)


def _order(page: ModuleType) -> Any:
    return page.OldOrder(
        tenant="acme",
        order_id=f"old-{uuid4().hex}",
        customer_id="ann",
        sku="tea",
        quantity=2,
        cents=450,
        card_token="tok-ok",
        warehouse_id="main",
        name="Ann",
        street="Lane 1",
        postal_code="12345",
        city="Town",
    )


async def test_the_workflow_of_the_page_imports_an_order_once_however_often_it_runs(
    page: ModuleType, path: CommandPath, client: Client
) -> None:
    order = _order(page)
    saga = client.get_workflow_handle(
        names.saga_workflow_id("orders.v1.FulfilOrder", order.tenant, order.order_id)
    )
    async with page.import_worker(client):
        for _ in range(2):
            imported = await client.execute_workflow(
                page.ImportOrder.run,
                order,
                id=f"import/{order.tenant}/{order.order_id}",
                task_queue=page.QUEUE,
            )
            assert (imported.version, imported.behind) == (3, [])
    events = await path.store.read_stream(StreamKey(order.tenant, "Order", order.order_id))
    assert [(event.type, event.actor) for event in events] == [
        ("orders.v1.OrderPlaced", "service:import"),
        ("orders.v1.CheckoutStarted", "service:import"),
        ("orders.v1.OrderConfirmed", "service:import"),
    ]
    started = await saga.describe()
    assert started.status is WorkflowExecutionStatus.RUNNING
    await saga.terminate()


def _applied(event: Message, *, expected: int = 1, order_id: str = "o-1") -> ApplyRequest:
    return ApplyRequest(
        command=command_envelope("acme", uuid4()),
        aggregate_type="Order",
        aggregate_id=order_id,
        expected_version=expected,
        events=[event_payload(event)],
    )


async def _apply(path: CommandPath, request: ApplyRequest) -> CommandOutcome:
    return (await path.activities.apply_events(request)).outcome


async def test_loading_returns_the_version_and_the_position(path: CommandPath, request_of: Requests) -> None:
    await path.router.handle(request_of(place("o-1")))
    await path.router.handle(request_of(place("o-2")))
    for order_id, version in (("o-1", 1), ("missing", 0)):
        loaded = await path.activities.load_aggregate(
            LoadRequest(tenant_id="acme", aggregate_type="Order", aggregate_id=order_id)
        )
        assert (loaded.version, loaded.position) == (version, 2)


async def test_events_are_applied_once_per_command_id(path: CommandPath, request_of: Requests) -> None:
    await path.router.handle(request_of(place("o-1")))
    request = _applied(OrderConfirmed())
    first, second = await _apply(path, request), await _apply(path, request)
    assert (first.result.version, first.result.position, first.result.duplicate) == (2, 2, False)
    assert (second.result.version, second.result.position, second.result.duplicate) == (2, 2, True)
    request.events.append(event_payload(OrderConfirmed()))
    assert (await _apply(path, request)).failure.reason == "COMMAND_ID_REUSED"


async def test_events_that_cannot_be_applied_come_back_as_a_failure(
    path: CommandPath, request_of: Requests
) -> None:
    await path.router.handle(request_of(place("o-1")))
    late = await _apply(path, _applied(OrderPlaced(), expected=0))
    assert late.failure.reason == "VERSION_CONFLICT"
    assert late.failure.metadata["actual_version"] == "1"
    foreign = await _apply(path, _applied(StockReceived()))
    assert foreign.failure.reason == "EVENT_OF_ANOTHER_AGGREGATE"
    assert await path.store.position() == 1


async def test_a_command_is_routed_once_and_its_rejection_is_an_outcome(
    path: CommandPath, request_of: Requests
) -> None:
    await path.router.handle(request_of(place("o-1")))
    confirm = command_envelope("acme", uuid4(), ConfirmOrder(order_id="o-1"))
    first = await path.activities.route_command(confirm)
    second = await path.activities.route_command(confirm)
    assert (first.result.version, first.result.duplicate) == (2, False)
    assert (second.result.version, second.result.duplicate) == (2, True)
    other = command_envelope("acme", uuid4(), ConfirmOrder(order_id="o-1"))
    assert (await path.activities.route_command(other)).failure.reason == "ORDER_ALREADY_CONFIRMED"


async def test_projecting_waits_for_the_read_models_and_names_those_still_behind(
    path: CommandPath, request_of: Requests, bound: BoundContext
) -> None:
    await path.router.handle(request_of(place("o-1")))
    reached = await path.activities.project_events(ProjectRequest(context="orders", position=1))
    assert list(reached.behind) == []
    beyond = await path.activities.project_events(ProjectRequest(context="orders", position=2))
    assert sorted(beyond.behind) == sorted(projection.name for projection in bound.projections)


async def test_events_that_no_saga_listens_to_are_routed_to_nobody(
    path: CommandPath, request_of: Requests
) -> None:
    await path.router.handle(request_of(place("o-1")))
    routed = await path.activities.route_event(RouteRequest(context="orders", positions=[1]))
    assert routed.deliveries == 0
