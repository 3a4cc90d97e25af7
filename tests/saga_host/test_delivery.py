"""Recorded events are delivered to the sagas that listen to them, on a real Temporal server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from uuid import uuid4

import pytest
import pytest_asyncio
from intent.dev.services import TemporalServer
from intent.model import BoundContext
from intent.process.assembly import CommandPath
from intent.records import LogEntry
from intent.saga_host import EventDelivery
from intent.temporal import data_converter
from intent_contracts.orders.v1 import ConfirmOrder
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from ..support.command_path import Requests, place
from .listening import Listened, Listening


@pytest_asyncio.fixture
async def client(temporal: TemporalServer) -> AsyncIterator[Client]:
    yield await Client.connect(temporal.address, data_converter=data_converter)


@pytest.fixture
async def entries(path: CommandPath, request_of: Requests) -> Sequence[LogEntry]:
    """The events of an order that is placed and confirmed."""
    order_id = uuid4().hex
    await path.router.handle(request_of(place(order_id)))
    await path.router.handle(request_of(ConfirmOrder(order_id=order_id)))
    return await path.store.read_log(0, 10)


@pytest.fixture
async def listening(client: Client) -> AsyncIterator[None]:
    """A worker of the saga that listens."""
    async with Worker(
        client, task_queue="test-sagas", workflows=[Listening], workflow_runner=UnsandboxedWorkflowRunner()
    ):
        yield


@pytest.mark.usefixtures("listening")
@pytest.mark.parametrize("here", [False, True], ids=["elsewhere", "here"])
@pytest.mark.parametrize("late", [False, True], ids=["in order", "the starting event last"])
async def test_events_start_a_saga_once_and_reach_it_once_however_often_they_are_delivered(
    client: Client, bound: BoundContext, entries: Sequence[LogEntry], here: bool, late: bool
) -> None:
    delivery = EventDelivery(Listened(bound, "test"), client, lambda: here)  # type: ignore[arg-type]
    for entry in (*(reversed(entries) if late else entries), *entries):
        assert await delivery.deliver([entry]) == 1
    handle = client.get_workflow_handle(f"test.v1.Listening/acme/{entries[0].aggregate_id}")
    result = await handle.result()
    assert sorted(result) == ["orders.v1.OrderConfirmed v2", "orders.v1.OrderPlaced v1"]
    assert await delivery.deliver(entries) == 2
    assert [w.id async for w in client.list_workflows(f"WorkflowId = '{handle.id}'")] == [handle.id]


@pytest.mark.usefixtures("listening")
@pytest.mark.parametrize(
    ("name", "here", "eager"),
    [("test", True, True), ("test", False, False), ("orders", True, False)],
    ids=["its own saga, here", "its own, elsewhere", "another context's"],
)
async def test_a_saga_starts_in_the_process_that_delivers_its_first_event_if_it_may(
    client: Client, bound: BoundContext, entries: Sequence[LogEntry], name: str, here: bool, eager: bool
) -> None:
    delivery = EventDelivery(Listened(bound, name), client, lambda: here)  # type: ignore[arg-type]
    await delivery.deliver(entries)
    handle = client.get_workflow_handle(f"test.v1.Listening/acme/{entries[0].aggregate_id}")
    await handle.result()
    history = await handle.fetch_history()
    started = history.events[0].workflow_execution_started_event_attributes
    assert started.eager_execution_accepted is eager


async def test_an_event_without_a_correlation_concerns_no_saga_and_the_log_names_one_that_would_start(
    client: Client,
    bound: BoundContext,
    path: CommandPath,
    request_of: Requests,
    caplog: pytest.LogCaptureFixture,
) -> None:
    placing = place(uuid4().hex)
    placing.customer_id = "  "
    await path.router.handle(request_of(placing))
    delivery = EventDelivery(Listened(bound, "test", "customer_id"), client)  # type: ignore[arg-type]
    placed, *_ = await path.store.read_log(0, 10)
    assert await delivery.deliver([placed]) == 0
    (warning,) = [record.getMessage() for record in caplog.records if "starts no saga" in record.getMessage()]
    assert "(orders.v1.OrderPlaced at position 1) starts no saga test.v1.Listening" in warning
    assert warning.endswith("its field customer_id is empty or blank")
