"""Sagas as workflows: durable, sandboxed, found by their events, and deterministic."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import timedelta
from uuid import uuid4

import intent
import pytest
import pytest_asyncio
from google.protobuf.message import Message
from intent.contracts import Registry
from intent.model import BoundContext, load_context
from intent.saga_host import SagaWorkflow, saga_runner, saga_worker
from intent.saga_host import types as saga_types
from intent.saga_host.types import saga_type
from intent.sagas import Saga
from intent.temporal import data_converter, names
from intent_contracts.intent.v1 import (
    CancelSagaRequest,
    CommandEnvelope,
    CommandOutcome,
    CommandResult,
    Failure,
    FailureKind,
    RecordedEvent,
    ResumeSagaRequest,
    SagaReport,
    SagaStatus,
)
from temporalio import activity
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Replayer, Worker

from tests.sagas import saga_examples

TYPE = "orders.v1.FulfilOrder"
Answer = Callable[[CommandEnvelope], CommandOutcome]
Handle = WorkflowHandle[object, SagaReport]


def applied(envelope: CommandEnvelope) -> CommandOutcome:
    return CommandOutcome(command_id=envelope.command_id, result=CommandResult(version=1))


def rejected(reason: str) -> Answer:
    failure = Failure(kind=FailureKind.FAILURE_KIND_REJECTED, reason=reason, message="no")
    return lambda envelope: CommandOutcome(command_id=envelope.command_id, failure=failure)


def unavailable(envelope: CommandEnvelope) -> CommandOutcome:
    raise ApplicationError("the context is unavailable", type="STILL_WAITING")


class Contexts:
    """Runs sagas, and answers their commands in place of contexts."""

    def __init__(self, environment: WorkflowEnvironment, bound: BoundContext) -> None:
        self._environment = environment
        self._bound = bound
        self.sent: list[CommandEnvelope] = []
        self.answers: dict[str, list[Answer]] = {}
        self._worker: Worker | None = None

    async def run(self, saga: type[Saga]) -> None:
        """Start a worker for a saga in place of FulfilOrder."""
        bound = dataclasses.replace(self._bound, sagas={TYPE: saga}, ports={})
        self._worker = saga_worker(self._environment.client, bound, self.route_command)
        await self._worker.__aenter__()

    async def stop(self) -> None:
        if self._worker is not None:
            await self._worker.__aexit__(None, None, None)

    @activity.defn(name=names.ROUTE_COMMAND)
    async def route_command(self, envelope: CommandEnvelope) -> CommandOutcome:
        self.sent.append(envelope)
        answers = self.answers.get(envelope.type.rpartition(".")[2], [applied])
        return (answers.pop(0) if len(answers) > 1 else answers[0])(envelope)

    @property
    def commands(self) -> list[str]:
        return [envelope.type.rpartition(".")[2] for envelope in self.sent]

    async def deliver(self, correlation: str, event: Message, event_id: str = "") -> Handle:
        """Deliver an event to the saga as the route step does."""
        client = self._environment.client
        return await client.start_workflow(
            TYPE,
            id=names.saga_workflow_id(TYPE, "acme", correlation),
            task_queue=names.saga_queue("orders"),
            start_signal=names.SAGA_SIGNAL,
            start_signal_args=[_recorded(event, event_id)],
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            result_type=SagaReport,
        )

    async def signal(self, workflow_id: str, event: Message) -> None:
        """Deliver an event to a saga that its parent starts, once it is there."""
        handle = self._environment.client.get_workflow_handle(workflow_id)
        async with asyncio.timeout(20):
            while True:
                try:
                    return await handle.signal(names.SAGA_SIGNAL, _recorded(event))
                except RPCError:
                    await asyncio.sleep(0.02)

    async def reaches(self, handle: Handle, status: SagaStatus.ValueType) -> SagaReport:
        """Wait until a saga reports a status."""
        async with asyncio.timeout(20):
            while True:
                report: SagaReport = await handle.query(names.SAGA_REPORT, result_type=SagaReport)
                if report.status == status:
                    return report
                await asyncio.sleep(0.02)


def _recorded(event: Message, event_id: str = "") -> RecordedEvent:
    return RecordedEvent(
        event_id=event_id or str(uuid4()),
        type=event.DESCRIPTOR.full_name,
        data=event.SerializeToString(),
        tenant_id="acme",
        correlation_id="story-1",
        actor="user:ann",
    )


@pytest.fixture(scope="module")
def bound() -> BoundContext:
    return load_context("orders").bind(Registry.load())


@pytest_asyncio.fixture
async def contexts(skipping: WorkflowEnvironment, bound: BoundContext) -> AsyncIterator[Contexts]:
    scripted = Contexts(skipping, bound)
    yield scripted
    await scripted.stop()


async def replay(*handles: Handle) -> None:
    """Replay what sagas did, in the sandbox, as a worker does that takes over."""
    replayer = Replayer(
        workflows=[SagaWorkflow], data_converter=data_converter, workflow_runner=saga_runner()
    )
    for handle in handles:
        await replayer.replay_workflow(await handle.fetch_history())


def correlation() -> str:
    return uuid4().hex


async def test_it_runs_from_its_first_event_to_its_end(contexts: Contexts) -> None:
    await contexts.run(saga_examples.Plain)
    order = correlation()
    handle = await contexts.deliver(order, saga_examples.CHECKOUT)
    await contexts.deliver(order, saga_examples.AUTHORIZED)
    report = await handle.result()
    assert report.status == SagaStatus.SAGA_STATUS_COMPLETED
    assert contexts.commands == ["ReserveStock", "AuthorizePayment", "ConfirmOrder"]
    await replay(handle)


async def test_ids_tenant_actor_and_correlation_go_with_its_commands(contexts: Contexts) -> None:
    await contexts.run(saga_examples.Plain)
    order = correlation()
    cause, answer = str(uuid4()), str(uuid4())
    handle = await contexts.deliver(order, saga_examples.CHECKOUT, cause)
    await contexts.deliver(order, saga_examples.AUTHORIZED, answer)
    await handle.result()
    assert [envelope.causation_id for envelope in contexts.sent] == [cause, cause, answer]
    assert {(e.tenant_id, e.actor, e.correlation_id) for e in contexts.sent} == {
        ("acme", "user:ann", "story-1")
    }
    assert len({envelope.command_id for envelope in contexts.sent}) == 3


async def test_a_failed_saga_is_compensated_and_says_why(contexts: Contexts) -> None:
    await contexts.run(saga_examples.Plain)
    contexts.answers = {"ConfirmOrder": [rejected("ORDER_GONE")]}
    order = correlation()
    handle = await contexts.deliver(order, saga_examples.CHECKOUT)
    await contexts.deliver(order, saga_examples.AUTHORIZED)
    report = await handle.result()
    assert (report.status, report.failure_reason) == (SagaStatus.SAGA_STATUS_COMPENSATED, "ORDER_GONE")
    assert contexts.commands[-2:] == ["CancelPayment", "ReleaseStock"]
    await replay(handle)


async def test_a_time_out_comes_at_its_time(contexts: Contexts) -> None:
    await contexts.run(saga_examples.Plain)
    handle = await contexts.deliver(correlation(), saga_examples.CHECKOUT)
    report = await handle.result()
    assert report.failure_reason == "TIMED_OUT"
    waited = next(step for step in report.steps if step.path == "3")
    elapsed = waited.ended_at.ToDatetime() - waited.started_at.ToDatetime()
    assert timedelta(hours=1) <= elapsed < timedelta(hours=1, seconds=10)
    await replay(handle)


async def test_a_command_whose_context_is_unavailable_waits_under_the_same_id(
    contexts: Contexts,
) -> None:
    await contexts.run(saga_examples.Forgiving)
    contexts.answers = {"ReserveStock": [*[unavailable] * 6, applied]}
    order = correlation()
    handle = await contexts.deliver(order, saga_examples.CHECKOUT)
    assert (await handle.result()).status == SagaStatus.SAGA_STATUS_COMPLETED
    reserved = [e.command_id for e in contexts.sent if e.type.endswith("ReserveStock")]
    assert len(reserved) == 7
    assert len(set(reserved)) == 1
    await replay(handle)


async def test_a_repeated_event_counts_once(contexts: Contexts) -> None:
    await contexts.run(saga_examples.Plain)
    order, event_id = correlation(), str(uuid4())
    handle = await contexts.deliver(order, saga_examples.CHECKOUT, event_id)
    await contexts.deliver(order, saga_examples.CHECKOUT, event_id)
    await contexts.deliver(order, saga_examples.AUTHORIZED)
    report = await handle.result()
    assert list(report.untaken) == []


async def test_an_event_never_starts_a_finished_saga_again(contexts: Contexts) -> None:
    await contexts.run(saga_examples.Plain)
    order = correlation()
    handle = await contexts.deliver(order, saga_examples.CHECKOUT)
    await contexts.deliver(order, saga_examples.AUTHORIZED)
    await handle.result()
    for event in (saga_examples.CHECKOUT, saga_examples.CANCELLED):
        with pytest.raises(WorkflowAlreadyStartedError):
            await contexts.deliver(order, event)


async def test_an_event_that_came_before_the_first_is_not_lost(contexts: Contexts) -> None:
    await contexts.run(saga_examples.Plain)
    order = correlation()
    handle = await contexts.deliver(order, saga_examples.AUTHORIZED)
    await contexts.reaches(handle, SagaStatus.SAGA_STATUS_UNSTARTED)
    await contexts.deliver(order, saga_examples.CHECKOUT)
    assert (await handle.result()).status == SagaStatus.SAGA_STATUS_COMPLETED
    await replay(handle)


async def test_a_saga_that_nothing_started_ends_and_can_still_be_started(contexts: Contexts) -> None:
    await contexts.run(saga_examples.Plain)
    order = correlation()
    handle = await contexts.deliver(order, saga_examples.CANCELLED)
    with pytest.raises(WorkflowFailureError) as failed:
        await handle.result()
    assert "no event that starts FulfilOrder came; others that came: orders.v1.OrderCancelled" in str(
        failed.value.cause
    )
    again = await contexts.deliver(order, saga_examples.CHECKOUT)
    await contexts.deliver(order, saga_examples.AUTHORIZED)
    assert (await again.result()).status == SagaStatus.SAGA_STATUS_COMPLETED


async def test_an_operator_cancels_one_that_waits(contexts: Contexts, skipping: WorkflowEnvironment) -> None:
    await contexts.run(saga_examples.Plain)
    with skipping.auto_time_skipping_disabled():
        handle = await contexts.deliver(correlation(), saga_examples.CHECKOUT)
        await contexts.reaches(handle, SagaStatus.SAGA_STATUS_WAITING)
        await handle.signal(names.SAGA_CANCEL, CancelSagaRequest(reason="a test"))
        report = await handle.result()
    assert (report.failure_reason, report.failure_detail) == ("CANCELLED", "a test")
    assert contexts.commands[-2:] == ["CancelPayment", "ReleaseStock"]
    await replay(handle)


async def test_a_cancellation_in_temporal_compensates_it(
    contexts: Contexts, skipping: WorkflowEnvironment
) -> None:
    await contexts.run(saga_examples.Plain)
    with skipping.auto_time_skipping_disabled():
        handle = await contexts.deliver(correlation(), saga_examples.CHECKOUT)
        await contexts.reaches(handle, SagaStatus.SAGA_STATUS_WAITING)
        await handle.cancel()
        report = await handle.result()
    assert report.failure_reason == "CANCELLED"
    assert contexts.commands[-1] == "ReleaseStock"
    await replay(handle)


async def test_one_that_is_stuck_waits_for_an_operator(contexts: Contexts) -> None:
    await contexts.run(saga_examples.Plain)
    contexts.answers = {"ConfirmOrder": [rejected("GONE")], "CancelPayment": [rejected("BROKEN"), applied]}
    order = correlation()
    handle = await contexts.deliver(order, saga_examples.CHECKOUT)
    await contexts.deliver(order, saga_examples.AUTHORIZED)
    report = await contexts.reaches(handle, SagaStatus.SAGA_STATUS_STUCK)
    assert [step.reason for step in report.steps if step.name.endswith("CancelPayment")] == ["BROKEN"]
    await handle.signal(names.SAGA_RESUME, ResumeSagaRequest(reason="fixed"))
    assert (await handle.result()).status == SagaStatus.SAGA_STATUS_COMPENSATED
    await replay(handle)


async def test_branches_run_side_by_side(contexts: Contexts) -> None:
    await contexts.run(saga_examples.SideBySide)
    order = correlation()
    handle = await contexts.deliver(order, saga_examples.CHECKOUT)
    await contexts.deliver(order, saga_examples.AUTHORIZED)
    assert (await handle.result()).status == SagaStatus.SAGA_STATUS_COMPLETED
    await replay(handle)


@pytest.mark.parametrize("failing", [False, True])
async def test_a_child_runs_as_a_workflow_of_its_own(
    contexts: Contexts, failing: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    await contexts.run(saga_examples.Parent)
    child = dataclasses.replace(saga_type(TYPE), name="Child")
    monkeypatch.setitem(saga_types._types, "orders.v1.ChildOfOrder", child)
    answers: Sequence[Answer] = [applied, rejected("NOTHING_LEFT")] if failing else [applied]
    contexts.answers = {"ReserveStock": list(answers)}
    order = correlation()
    handle = await contexts.deliver(order, saga_examples.CHECKOUT)
    if not failing:
        child_id = names.saga_workflow_id("orders.v1.ChildOfOrder", "acme", f"{order}/2")
        await contexts.signal(child_id, saga_examples.AUTHORIZED)
    report = await handle.result()
    if failing:
        assert (report.failure_reason, report.failure_detail) == ("CHILD", "NOTHING_LEFT")
    else:
        assert report.status == SagaStatus.SAGA_STATUS_COMPLETED
    await replay(handle)


async def test_a_long_saga_continues_in_new_runs(contexts: Contexts, skipping: WorkflowEnvironment) -> None:
    await contexts.run(saga_examples.Long)
    order = correlation()
    handle = await contexts.deliver(order, saga_examples.CHECKOUT)
    await contexts.deliver(order, saga_examples.AUTHORIZED)
    report = await handle.result()
    assert report.status == SagaStatus.SAGA_STATUS_COMPLETED
    assert len({e.command_id for e in contexts.sent}) == len(contexts.sent) == saga_examples.Long.rounds + 1
    last = skipping.client.get_workflow_handle(handle.id)
    assert (await last.describe()).run_id != handle.first_execution_run_id
    await replay(last)


async def _task_failed(handle: Handle) -> str:
    """Wait until a task of a saga has failed; return why."""
    async with asyncio.timeout(30):
        while True:
            history = await handle.fetch_history()
            for event in history.events:
                if event.HasField("workflow_task_failed_event_attributes"):
                    return event.workflow_task_failed_event_attributes.failure.message
            await asyncio.sleep(0.05)


async def test_the_sandbox_refuses_what_is_not_deterministic(contexts: Contexts) -> None:
    await contexts.run(saga_examples.Impure)
    handle = await contexts.deliver(correlation(), saga_examples.CHECKOUT)
    assert "datetime.datetime.now" in await _task_failed(handle)
    await handle.terminate()


@pytest.mark.parametrize("stuck", [1, 3])
async def test_code_that_never_returns_keeps_no_other_saga_from_its_end(
    contexts: Contexts, skipping: WorkflowEnvironment, stuck: int
) -> None:
    await contexts.run(saga_examples.Stuck)
    lost = [await contexts.deliver(f"stuck-{correlation()}", saga_examples.CHECKOUT) for _ in range(stuck)]
    others = [await contexts.deliver(correlation(), saga_examples.CHECKOUT) for _ in range(5)]
    # The clock would jump over the tasks of those that are stuck.
    with skipping.auto_time_skipping_disabled():
        async with asyncio.timeout(30):
            reports = await asyncio.gather(*(handle.result() for handle in others))
    assert {report.status for report in reports} == {SagaStatus.SAGA_STATUS_COMPLETED}
    await asyncio.gather(*(handle.terminate() for handle in lost))


async def test_sagas_continue_after_loading_their_code_took_too_long_for_all_of_them(
    contexts: Contexts, skipping: WorkflowEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK ends such tasks from outside; one that waits for Python's lock of a module would keep it."""
    await contexts.run(saga_examples.LoadsLate)
    with skipping.auto_time_skipping_disabled():
        with monkeypatch.context() as held_up:
            held_up.setattr(intent, "loading_is_held", True, raising=False)
            handles = [await contexts.deliver(correlation(), saga_examples.CHECKOUT) for _ in range(4)]
            await asyncio.gather(*map(_task_failed, handles))
        async with asyncio.timeout(60):
            reports = await asyncio.gather(*(handle.result() for handle in handles))
    assert {report.status for report in reports} == {SagaStatus.SAGA_STATUS_COMPLETED}
