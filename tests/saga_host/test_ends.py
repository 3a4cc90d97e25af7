"""A saga that is over never begins again, whatever Temporal has forgotten."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
import pytest_asyncio
from intent.dev.services import TemporalServer
from intent.errors import NotFound, Rejected
from intent.model import BoundContext
from intent.process.assembly import CommandPath
from intent.records import LogEntry
from intent.saga_host import EndRecorder, EventDelivery, SagaDirectory
from intent.store.postgres import PostgresEventStore, PostgresSagaEnds, SagaEnd
from intent.temporal import data_converter
from intent_contracts.intent.v1 import TerminateSagaRequest
from intent_contracts.orders.v1 import Checkout, CheckOutOrder, Receiver
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from ..support.command_path import Requests, eventually, place
from .test_directory import COMPENSATED, COMPLETED, FAILED, FULFIL, QUEUE, WAITING, Saga, Sagas

CHECKOUT = Checkout(
    card_token="card",
    warehouse_id="w-1",
    ship_to=Receiver(name="Ann", street="Lane 1", postal_code="1", city="Town", country="DE"),
)


@pytest_asyncio.fixture
async def client(temporal: TemporalServer) -> AsyncIterator[Client]:
    yield await Client.connect(temporal.address, data_converter=data_converter)


@pytest.fixture
def ends(postgres_store: PostgresEventStore) -> PostgresSagaEnds:
    return PostgresSagaEnds(postgres_store.pool, "orders")


@pytest.fixture
def directory(client: Client, ends: PostgresSagaEnds) -> SagaDirectory:
    return SagaDirectory("orders", [FULFIL], client, ends=ends)


@pytest.fixture
async def entries(path: CommandPath, request_of: Requests) -> Sequence[LogEntry]:
    """The events of an order that is checked out; its saga waits for the other contexts."""
    order_id = uuid4().hex
    await path.router.handle(request_of(place(order_id)))
    await path.router.handle(request_of(CheckOutOrder(order_id=order_id, checkout=CHECKOUT)))
    return await path.store.read_log(0, 10)


async def runs(client: Client, saga: str) -> list[WorkflowExecutionStatus | None]:
    """Return the status of each run of a saga that Temporal knows."""
    return [run.status async for run in client.list_workflows(f"WorkflowId = '{saga}'")]


async def terminated(entries: Sequence[LogEntry], client: Client, directory: SagaDirectory) -> str:
    """Terminate the saga of an order; return its id."""
    saga = f"{FULFIL}/acme/{entries[0].aggregate_id}"

    async def begun() -> bool:
        return await runs(client, saga) == [WorkflowExecutionStatus.RUNNING]

    await eventually(begun)
    request = TerminateSagaRequest(id=saga, reason="settled by hand")
    await directory.terminate("acme", request, "user:ann")
    return saga


async def test_a_terminated_saga_does_not_begin_again_when_its_events_come_again(
    client: Client, bound: BoundContext, entries: Sequence[LogEntry], directory: SagaDirectory
) -> None:
    saga = await terminated(entries, client, directory)
    with pytest.raises(Rejected, match="there is nothing to terminate"):
        await directory.terminate("acme", TerminateSagaRequest(id=saga, reason="again"), "user:ann")
    await EventDelivery(bound, client).deliver(entries)
    assert (await client.get_workflow_handle(saga).describe()).status is WorkflowExecutionStatus.TERMINATED


@pytest.mark.parametrize("how", ["redelivered", "old"])
async def test_a_saga_that_temporal_has_forgotten_does_not_begin_again(
    client: Client,
    bound: BoundContext,
    entries: Sequence[LogEntry],
    directory: SagaDirectory,
    ends: PostgresSagaEnds,
    how: str,
) -> None:
    order_id, now = uuid4().hex, datetime.now(UTC)
    saga = f"{FULFIL}/acme/{order_id}"
    await ends.record([SagaEnd("acme", saga, FAILED, now, now, "user:ann", "settled by hand")])
    kept = await directory.get("acme", saga)
    assert (kept.saga.status, kept.report.failure_detail) == (FAILED, "user:ann: settled by hand")
    assert "Temporal has forgotten" in kept.note

    earlier = timedelta(hours=2 if how == "old" else 0)
    events = [e._replace(aggregate_id=order_id, recorded_at=e.recorded_at - earlier) for e in entries]
    delivery, again = EventDelivery(bound, client), how == "redelivered"
    await delivery.deliver(events, again=again)

    async def over() -> bool:
        return await runs(client, saga) == [WorkflowExecutionStatus.FAILED]

    await eventually(over)
    shown = await directory.get("acme", saga)
    assert shown.saga.status == FAILED
    assert shown.report.failure_reason == "SAGA_OVER"
    await delivery.deliver(events, again=again)
    assert await runs(client, saga) == [WorkflowExecutionStatus.FAILED]


async def test_ends_are_recorded_whoever_ended_the_saga(client: Client, ends: PostgresSagaEnds) -> None:
    sagas = Sagas(client, f"tenant-{uuid4().hex[:8]}")
    recorder = EndRecorder(client, "orders", [FULFIL], ends)
    async with Worker(
        client, task_queue=QUEUE, workflows=[Saga], workflow_runner=UnsandboxedWorkflowRunner()
    ):
        for name, status in (("done", COMPLETED), ("undone", COMPENSATED)):
            await (await sagas.start(name, status)).result()
        await sagas.start("under way", WAITING)
        await (await sagas.start("killed", WAITING)).terminate("from outside")

    async def recorded() -> list[int]:
        await recorder.record()
        known = [await ends.end_of(sagas.tenant, sagas.id(n)) for n in ("done", "undone", "killed")]
        return [0 if end is None else end.status for end in known]

    async def complete() -> bool:
        return await recorded() == [COMPLETED, COMPENSATED, FAILED]

    await eventually(complete)
    assert await ends.end_of(sagas.tenant, sagas.id("under way")) is None
    with pytest.raises(NotFound):
        await SagaDirectory("orders", [FULFIL], client, ends=ends).get("another", sagas.id("done"))
