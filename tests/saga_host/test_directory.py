"""Sagas are found, shown and resumed through Temporal, on a real server.

The sagas here are workflows that say of themselves what a test wants to see.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from intent.cli.formatting import problem_text
from intent.dev.services import TemporalServer
from intent.errors import InvalidCommand, NotFound, Rejected, Unavailable
from intent.saga_host import DirectorySettings, SagaDirectory
from intent.temporal import data_converter
from intent.temporal.attributes import CONTEXT, CORRELATION_IDS, SAGA_STATUS, SAGA_STEP, TENANTS
from intent.temporal.backlog import BacklogWatch
from intent_contracts.intent.v1 import (
    CancelSagaRequest,
    GetSagaResponse,
    ListSagasRequest,
    ResumeSagaRequest,
    SagaInput,
    SagaReport,
    SagaStatus,
)
from temporalio import workflow
from temporalio.client import Client, WorkflowHandle
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from ..support.command_path import eventually

FULFIL, REFUND = "orders.v1.FulfilOrder", "orders.v1.RefundOrder"
QUEUE, NOBODY = "orders-sagas", "orders-sagas-without-workers"
RUNNING, WAITING, STUCK = (SagaStatus.Value(f"SAGA_STATUS_{n}") for n in ("RUNNING", "WAITING", "STUCK"))
COMPENSATING, COMPENSATED = (SagaStatus.Value(f"SAGA_STATUS_{n}") for n in ("COMPENSATING", "COMPENSATED"))
COMPLETED, FAILED, FAILING = (
    SagaStatus.Value(f"SAGA_STATUS_{n}") for n in ("COMPLETED", "FAILED", "FAILING")
)
UNDOING = (STUCK, COMPENSATING)


@workflow.defn(name=FULFIL)
class Saga:
    """A saga with the status of its input, until an operator sends it something."""

    def __init__(self) -> None:
        self._report = SagaReport()
        self._told = ""

    @workflow.run
    async def run(self, saga_input: SagaInput) -> SagaReport:
        self._report = saga_input.report
        if saga_input.report.status == FAILING:
            self.work()
        if saga_input.report.status == FAILED:
            raise ApplicationError("no event came", type="NeverStarted", non_retryable=True)
        if saga_input.report.status not in (COMPLETED, COMPENSATED):
            await workflow.wait_condition(lambda: self._told != "")
            self._report.status, self._report.failure_detail = COMPENSATED, self._told
        workflow.upsert_search_attributes([SAGA_STATUS.value_set(word(self._report.status))])
        return self._report

    def work(self) -> float:
        return 1 / 0

    @workflow.signal(name="resume")
    def resume(self, request: ResumeSagaRequest) -> None:
        self._told = f"{'skipped' if request.skip else 'resumed'} by {request.reason}"

    @workflow.signal(name="cancel")
    def cancel(self, request: CancelSagaRequest) -> None:
        self._told = f"cancelled by {request.reason}"

    @workflow.query(name="report")
    def report(self) -> SagaReport:
        return self._report


def word(status: int) -> str:
    return SagaStatus.Name(status).removeprefix("SAGA_STATUS_").lower()  # type: ignore[arg-type]


class Sagas:
    """Starts sagas of one tenant, and asks for them."""

    def __init__(self, client: Client, tenant: str) -> None:
        self.client = client
        self.tenant = tenant
        self.directory = SagaDirectory("orders", [FULFIL, REFUND], client, DirectorySettings(report=1.0))

    def id(self, correlation: str) -> str:
        return f"{FULFIL}/{self.tenant}/{correlation}"

    async def start(
        self,
        correlation: str,
        status: int = WAITING,
        *,
        correlation_id: str = "",
        queue: str = QUEUE,
        silent: bool = False,
        failed: str = "",
    ) -> WorkflowHandle[object, SagaReport]:
        """Start a saga with a status; a silent one has not set its search attributes."""
        report = SagaReport(status=status, failure_reason=failed)  # type: ignore[arg-type]
        report.steps.add(path="1", name="inventory.v1.ReserveStock")
        pairs: list[SearchAttributePair[Any]] = [
            SearchAttributePair(CONTEXT, "orders"),
            SearchAttributePair(TENANTS, [self.tenant]),
            SearchAttributePair(CORRELATION_IDS, [correlation_id or correlation]),
        ]
        if not silent:
            pairs.append(SearchAttributePair(SAGA_STATUS, word(WAITING if status == FAILING else status)))
            pairs.append(SearchAttributePair(SAGA_STEP, "ReserveStock"))
        return await self.client.start_workflow(
            FULFIL,
            SagaInput(report=report),
            id=self.id(correlation),
            task_queue=queue,
            result_type=SagaReport,
            # Temporal waits for so long between two attempts.
            task_timeout=timedelta(seconds=1) if status == FAILING else None,
            search_attributes=TypedSearchAttributes(pairs),
        )

    async def listed(self, **request: object) -> list[str]:
        page = await self.directory.page(self.tenant, ListSagasRequest(**request))  # type: ignore[arg-type]
        return [saga.correlation for saga in page.sagas]

    async def lists(self, *correlations: str, **request: object) -> None:
        """Wait until a list has exactly these sagas: lists lag by some moments."""

        async def there() -> bool:
            return sorted(await self.listed(**request)) == sorted(correlations)

        await eventually(there)

    async def get(self, correlation: str) -> GetSagaResponse:
        return await self.directory.get(self.tenant, self.id(correlation))


@pytest_asyncio.fixture(scope="module")
async def client(temporal: TemporalServer) -> AsyncIterator[Client]:
    """A client, beside a worker of the context's sagas."""
    connected = await Client.connect(temporal.address, data_converter=data_converter)
    runner = UnsandboxedWorkflowRunner()
    async with Worker(connected, task_queue=QUEUE, workflows=[Saga], workflow_runner=runner):
        yield connected


@pytest.fixture
def sagas(client: Client) -> Sagas:
    return Sagas(client, f"t-{uuid4().hex[:8]}")


async def test_sagas_are_listed_by_their_status(sagas: Sagas) -> None:
    await sagas.start("o-waiting")
    await sagas.start("o-stuck", STUCK)
    await sagas.start("o-running", RUNNING)
    await sagas.start("o-quick", RUNNING, silent=True)
    await (await sagas.start("o-done", COMPLETED)).result()
    with pytest.raises(Exception, match="Workflow execution failed"):
        await (await sagas.start("o-failed", FAILED)).result()
    await (await sagas.start("o-ended")).terminate("by hand")
    await sagas.lists("o-waiting", "o-stuck", "o-running", "o-quick", "o-done", "o-failed", "o-ended")
    await sagas.lists("o-waiting", status=WAITING)
    await sagas.lists("o-stuck", status=STUCK)
    await sagas.lists("o-running", "o-quick", status=RUNNING)
    await sagas.lists("o-done", status=COMPLETED)
    await sagas.lists("o-failed", "o-ended", status=FAILED)
    await sagas.lists(status=COMPENSATING)


async def test_a_line_of_the_list_shows_everything_that_is_known(sagas: Sagas) -> None:
    await sagas.start("o-1/with/slashes", STUCK, correlation_id="story-1:a'b")
    await sagas.lists("o-1/with/slashes", correlation_id="story-1:a'b")
    await sagas.lists(correlation_id="story-1")
    await sagas.lists(correlation_id='" OR 1 = 1 \\')
    (saga,) = (await sagas.directory.page(sagas.tenant, ListSagasRequest())).sagas
    assert (saga.id, saga.type, saga.tenant_id) == (sagas.id("o-1/with/slashes"), FULFIL, sagas.tenant)
    assert (saga.status, saga.step, saga.correlation_id) == (STUCK, "ReserveStock", "story-1:a'b")
    assert saga.started_at.seconds > 0
    assert not saga.HasField("ended_at")


async def test_a_list_has_pages_the_newest_first(sagas: Sagas) -> None:
    names = [f"o-{number}" for number in range(5)]
    for name in names:
        await sagas.start(name)
    await sagas.lists(*names)
    first = await sagas.directory.page(sagas.tenant, ListSagasRequest(page_size=3))
    second = await sagas.directory.page(
        sagas.tenant, ListSagasRequest(page_size=3, page_token=first.next_page_token)
    )
    assert [saga.correlation for page in (first, second) for saga in page.sagas] == names[::-1]
    assert second.next_page_token == b""
    for request in (
        ListSagasRequest(page_token=b"nonsense"),
        ListSagasRequest(page_token=first.next_page_token, status=STUCK),
    ):
        with pytest.raises(InvalidCommand) as refused:
            await sagas.directory.page(sagas.tenant, request)
        assert refused.value.reason == "PAGE_TOKEN_INVALID"


async def test_lists_are_of_one_tenant_one_context_and_known_types(sagas: Sagas, client: Client) -> None:
    await sagas.start("o-1")
    await sagas.lists("o-1")
    assert await Sagas(client, sagas.tenant + "x").listed() == []
    assert await sagas.listed(type=REFUND) == []
    assert await sagas.listed(type="orders.v1.Nothing") == []
    assert await sagas.listed(type=FULFIL) == ["o-1"]
    neighbour = SagaDirectory("payments", [FULFIL], client)
    assert not (await neighbour.page(sagas.tenant, ListSagasRequest())).sagas


async def test_a_saga_is_asked_for_its_steps(sagas: Sagas) -> None:
    await sagas.start("o-1", STUCK, silent=True)
    found = await sagas.get("o-1")
    assert (found.saga.status, found.report.status) == (STUCK, STUCK)
    assert [step.name for step in found.report.steps] == ["inventory.v1.ReserveStock"]
    assert found.note == ""


async def test_a_saga_that_has_ended_needs_no_worker_to_be_shown(sagas: Sagas) -> None:
    await (await sagas.start("o-1", COMPENSATED)).result()
    found = await sagas.get("o-1")
    assert (found.saga.status, len(found.report.steps), found.note) == (COMPENSATED, 1, "")
    assert found.saga.HasField("ended_at")


async def test_without_a_worker_a_saga_is_shown_with_a_note_after_a_bounded_time(sagas: Sagas) -> None:
    await sagas.start("o-1", STUCK, queue=NOBODY)
    found = await sagas.get("o-1")
    assert (found.saga.status, found.saga.step) == (STUCK, "ReserveStock")
    assert not found.report.steps
    assert found.note.startswith("no worker of orders reported the steps within 1 s")


async def test_a_saga_that_failed_shows_why(sagas: Sagas) -> None:
    with pytest.raises(Exception, match="Workflow execution failed"):
        await (await sagas.start("o-1", FAILED)).result()
    failed = await sagas.get("o-1")
    assert (failed.saga.status, failed.report.failure_reason) == (FAILED, "NeverStarted")
    assert failed.report.failure_detail == "no event came"
    await (await sagas.start("o-2")).terminate("by hand")
    ended = await sagas.get("o-2")
    assert (ended.saga.status, ended.report.failure_reason) == (FAILED, "TERMINATED")


async def test_a_saga_whose_code_raises_is_failing_with_the_error_and_its_place(
    sagas: Sagas, client: Client
) -> None:
    await sagas.start("o-1", FAILING)
    await sagas.start("o-2", WAITING)
    line = inspect.getsourcelines(Saga.work)[1] + 1
    place = f"saga_host/test_directory.py:{line}"

    async def shown() -> bool:
        return (await sagas.get("o-1")).saga.status == FAILING

    await eventually(shown)
    found = await sagas.get("o-1")
    problem = found.saga.problem
    assert (problem.error, problem.place) == ("ZeroDivisionError: division by zero", place)
    assert problem.attempt > 1
    assert found.report.status == FAILING
    assert found.note.startswith("its code fails")
    assert "ZeroDivisionError: division by zero in " + place in problem_text(problem)

    await sagas.lists("o-1", status=FAILING)
    await sagas.lists("o-2", status=WAITING)
    (listed,) = (await sagas.directory.page(sagas.tenant, ListSagasRequest(status=FAILING))).sagas
    assert (listed.status, listed.problem.place) == (FAILING, place)
    both = (await sagas.directory.page(sagas.tenant, ListSagasRequest())).sagas
    assert {(saga.correlation, saga.status) for saga in both} == {("o-1", FAILING), ("o-2", WAITING)}
    backlog = await BacklogWatch(client, "orders", [QUEUE], sagas=True).ask()
    assert backlog.sagas["failing"] == 1
    with pytest.raises(Rejected, match="not stuck"):
        await sagas.directory.resume(sagas.tenant, ResumeSagaRequest(id=sagas.id("o-1")), "user:ann")
    await client.get_workflow_handle(sagas.id("o-1")).terminate()
    await sagas.lists(status=FAILING)


async def test_a_stuck_saga_is_resumed_with_the_name_of_the_operator(sagas: Sagas) -> None:
    handle = await sagas.start("o-1", STUCK)
    request = ResumeSagaRequest(id=sagas.id("o-1"), skip=True, reason="paid back by hand")
    await sagas.directory.resume(sagas.tenant, request, "user:ann")
    assert (await handle.result()).failure_detail == "skipped by user:ann: paid back by hand"


@pytest.mark.parametrize("status", [WAITING, COMPENSATING, COMPLETED])
async def test_a_saga_that_is_not_stuck_has_nothing_to_resume(sagas: Sagas, status: int) -> None:
    await sagas.start("o-1", status)
    with pytest.raises(Rejected) as refused:
        await sagas.directory.resume(sagas.tenant, ResumeSagaRequest(id=sagas.id("o-1")), "user:ann")
    assert refused.value.reason == "SAGA_NOT_STUCK"
    assert refused.value.metadata == {"status": word(status)}


async def test_a_saga_is_cancelled_with_the_name_of_the_operator(sagas: Sagas) -> None:
    handle = await sagas.start("o-1")
    request = CancelSagaRequest(id=sagas.id("o-1"), reason="ticket 88")
    await sagas.directory.cancel(sagas.tenant, request, "user:ann")
    assert (await handle.result()).failure_detail == "cancelled by user:ann: ticket 88"


@pytest.mark.parametrize(
    ("status", "reason"),
    [(STUCK, "SAGA_BEING_UNDONE"), (COMPENSATING, "SAGA_BEING_UNDONE"), (COMPLETED, "SAGA_OVER")],
)
async def test_a_saga_that_has_ended_or_is_being_compensated_is_not_cancelled(
    sagas: Sagas, status: int, reason: str
) -> None:
    handle = await sagas.start("o-1", status, failed="GONE")
    if status not in UNDOING:
        await handle.result()
    with pytest.raises(Rejected) as refused:
        await sagas.directory.cancel(
            sagas.tenant, CancelSagaRequest(id=sagas.id("o-1"), reason="no"), "user:ann"
        )
    assert refused.value.reason == reason


async def test_a_saga_that_a_parked_step_holds_up_can_be_cancelled(sagas: Sagas) -> None:
    handle = await sagas.start("o-1", STUCK)
    request = CancelSagaRequest(id=sagas.id("o-1"), reason="no")
    await sagas.directory.cancel(sagas.tenant, request, "user:ann")
    assert (await handle.result()).failure_detail == "cancelled by user:ann: no"


async def test_sagas_of_others_and_unknown_ones_are_not_found(sagas: Sagas, client: Client) -> None:
    await sagas.start("o-1", STUCK)
    stranger = Sagas(client, "stranger").directory
    neighbour = SagaDirectory("payments", ["payments.v1.AuthorizeCharge"], client)
    for directory, tenant, id_ in (
        (stranger, "stranger", sagas.id("o-1")),
        (neighbour, sagas.tenant, sagas.id("o-1")),
        (sagas.directory, sagas.tenant, sagas.id("o-none")),
        (sagas.directory, sagas.tenant, f"orders/commands/{sagas.tenant}"),
        (sagas.directory, sagas.tenant, f"{FULFIL}/{sagas.tenant}"),
    ):
        for asked in (
            directory.get(tenant, id_),
            directory.resume(tenant, ResumeSagaRequest(id=id_), "user:ann"),
            directory.cancel(tenant, CancelSagaRequest(id=id_, reason="no"), "user:ann"),
        ):
            with pytest.raises(NotFound):
                await asked


async def test_an_outage_of_temporal_is_reported_after_a_bounded_time(tmp_path: Path) -> None:
    with TemporalServer(log=tmp_path / "temporal.log") as server:
        client = await Client.connect(server.address, data_converter=data_converter)
    directory = SagaDirectory("orders", [FULFIL], client, DirectorySettings(temporal=1.0, report=1.0))
    id_ = f"{FULFIL}/acme/o-1"
    asked: list[Coroutine[Any, Any, object]] = [
        directory.page("acme", ListSagasRequest()),
        directory.get("acme", id_),
        directory.resume("acme", ResumeSagaRequest(id=id_), "user:ann"),
        directory.cancel("acme", CancelSagaRequest(id=id_, reason="no"), "user:ann"),
    ]
    for asking in asked:
        with pytest.raises(Unavailable) as caught:
            await asking
        assert caught.value.reason == "TEMPORAL_UNAVAILABLE"
        assert caught.value.retry_after_ms > 0
