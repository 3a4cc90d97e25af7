"""Sagas as workflows: durable, sandboxed, found by their events, and deterministic."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import logging
import random
import sys
from collections.abc import Sequence
from datetime import timedelta
from uuid import uuid4

import intent
import pytest
from intent.saga_host import types as saga_types
from intent.saga_host.types import saga_type
from intent.temporal import names
from intent_contracts.intent.v1 import (
    CancelSagaRequest,
    ResumeSagaRequest,
    SagaStatus,
)
from intent_contracts.orders.v1 import ConfirmOrder, OrderCancelled
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.testing import WorkflowEnvironment

from tests.sagas import saga_examples

from .scripted_contexts import (
    TYPE,
    Answer,
    Contexts,
    Handle,
    applied,
    correlation,
    rejected,
    replay,
    unavailable,
)


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


async def test_a_worker_that_stops_drops_its_sagas_without_a_word(
    contexts: Contexts, skipping: WorkflowEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors: list[str] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda raised: errors.append(str(raised.exc_value)))
    await contexts.run(saga_examples.Interruptible)
    with skipping.auto_time_skipping_disabled():
        handles = [await contexts.deliver(correlation(), saga_examples.CHECKOUT) for _ in range(5)]
        for handle in handles:
            await contexts.reaches(handle, SagaStatus.SAGA_STATUS_WAITING)
        await contexts.stop()
        gc.collect()
        await asyncio.gather(*(handle.terminate() for handle in handles))
    assert errors == []


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


async def test_a_saga_that_hears_large_events_goes_on(
    contexts: Contexts, skipping: WorkflowEnvironment
) -> None:
    await contexts.run(saga_examples.Hearing)
    order, source = correlation(), random.Random(1)
    handle = await contexts.deliver(order, saga_examples.CHECKOUT)
    for _ in range(20):
        await contexts.deliver(order, OrderCancelled(reason=source.randbytes(100_000).hex()))
    await contexts.deliver(order, OrderCancelled(reason="the end"))
    report = await handle.result()
    assert report.status == SagaStatus.SAGA_STATUS_COMPLETED
    (sent,) = contexts.sent
    assert ConfirmOrder.FromString(sent.data).order_id == f"{order}-4000000"
    last = skipping.client.get_workflow_handle(handle.id)
    assert (await last.describe()).run_id != handle.first_execution_run_id
    await replay(last)


async def _refused(handle: Handle, caplog: pytest.LogCaptureFixture) -> logging.LogRecord:
    """Wait until the code of a saga was refused; return what the log says.

    A history has the failure of the first attempt only, and a first attempt that ran out of time has none.
    """
    async with asyncio.timeout(60):
        while True:
            for record in caplog.records:
                if handle.id in record.getMessage():
                    return record
            await asyncio.sleep(0.05)


async def test_the_sandbox_refuses_what_is_not_deterministic(
    contexts: Contexts, caplog: pytest.LogCaptureFixture
) -> None:
    await contexts.run(saga_examples.Impure)
    with caplog.at_level("WARNING", "temporalio.worker"):
        handle = await contexts.deliver(correlation(), saga_examples.CHECKOUT)
        refused = await _refused(handle, caplog)
    assert "must not use datetime.datetime.now" in refused.getMessage()
    assert refused.getMessage().endswith("; use self.now()")
    assert "sagas/saga_examples.py:" in refused.getMessage()
    assert refused.exc_info is None
    await handle.terminate()


async def test_the_sandbox_refuses_what_waits_without_a_step(
    contexts: Contexts, caplog: pytest.LogCaptureFixture
) -> None:
    await contexts.run(saga_examples.Dozing)
    with caplog.at_level("WARNING", "temporalio.worker"):
        handle = await contexts.deliver(correlation(), saga_examples.CHECKOUT)
        refused = await _refused(handle, caplog)
    assert "must not use asyncio.sleep" in refused.getMessage()
    assert "use self.sleep(…)" in refused.getMessage()
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
        async with asyncio.timeout(60):
            reports = await asyncio.gather(*(handle.result() for handle in others))
    assert {report.status for report in reports} == {SagaStatus.SAGA_STATUS_COMPLETED}
    await asyncio.gather(*(handle.terminate() for handle in lost))


async def _task_lost(handle: Handle) -> None:
    """Wait until a task of a saga has failed, or ran out of time."""
    lost = {"workflow_task_failed_event_attributes", "workflow_task_timed_out_event_attributes"}
    async with asyncio.timeout(60):
        while True:
            history = await handle.fetch_history()
            if lost & {event.WhichOneof("attributes") for event in history.events}:
                return
            await asyncio.sleep(0.05)


async def test_sagas_continue_after_loading_their_code_took_too_long_for_all_of_them(
    contexts: Contexts, skipping: WorkflowEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK ends such tasks from outside; one that waits for Python's lock of a module would keep it."""
    await contexts.run(saga_examples.LoadsLate)
    with skipping.auto_time_skipping_disabled():
        with monkeypatch.context() as held_up:
            held_up.setattr(intent, "loading_is_held", True, raising=False)
            handles = [await contexts.deliver(correlation(), saga_examples.CHECKOUT) for _ in range(4)]
            await asyncio.gather(*map(_task_lost, handles))
        async with asyncio.timeout(60):
            reports = await asyncio.gather(*(handle.result() for handle in handles))
    assert {report.status for report in reports} == {SagaStatus.SAGA_STATUS_COMPLETED}
