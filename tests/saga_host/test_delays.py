"""What is unavailable, or has a defect, holds a saga up: it is seen, it parks, and it is no rejection."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from intent.dev.services import TemporalServer
from intent.model import BoundContext
from intent.saga_host import SagaDirectory
from intent.saga_host import types as saga_types
from intent.saga_host.types import saga_type
from intent.temporal import data_converter, names
from intent_contracts.intent.v1 import (
    CancelSagaRequest,
    CommandEnvelope,
    CommandOutcome,
    Failure,
    FailureKind,
    ResumeSagaRequest,
    SagaReport,
    SagaStatus,
    SagaStep,
    SagaStepStatus,
)
from intent_contracts.orders.v1 import OrderView
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from tests.sagas import saga_examples

from .scripted_contexts import TYPE, Contexts, Handle, applied, correlation, replay, unavailable

DELAYED, STUCK = SagaStatus.SAGA_STATUS_DELAYED, SagaStatus.SAGA_STATUS_STUCK
COMPLETED, COMPENSATED = SagaStatus.SAGA_STATUS_COMPLETED, SagaStatus.SAGA_STATUS_COMPENSATED
MINUTE = timedelta(minutes=1)
PARKED = SagaStepStatus.SAGA_STEP_STATUS_PARKED


def defect(envelope: CommandEnvelope) -> CommandOutcome:
    failure = Failure(kind=FailureKind.FAILURE_KIND_INTERNAL, reason="INTERNAL", message="in the log as 7f")
    return CommandOutcome(command_id=envelope.command_id, failure=failure)


def taken(envelope: CommandEnvelope) -> CommandOutcome:
    kind, reason = FailureKind.FAILURE_KIND_INVALID, "COMMAND_ID_REUSED"
    failure = Failure(kind=kind, reason=reason, message="use a new id")
    return CommandOutcome(command_id=envelope.command_id, failure=failure)


def only(report: SagaReport, status: SagaStepStatus.ValueType) -> SagaStep:
    """Return the only step with a status."""
    (step,) = (step for step in report.steps if step.status == status)
    return step


async def test_what_is_unavailable_parks_a_saga_that_continues_by_itself(contexts: Contexts) -> None:
    await contexts.run(saga_examples.Plain, park_after=timedelta(minutes=2))
    contexts.answers = {"ReserveStock": [unavailable]}
    order = correlation()
    handle = await contexts.deliver(order, saga_examples.CHECKOUT)
    await contexts.deliver(order, saga_examples.AUTHORIZED)
    report = await contexts.reaches(handle, STUCK, by=MINUTE)
    assert only(report, PARKED).reason == "STILL_WAITING"
    contexts.answers = {}
    assert (await handle.result()).status == COMPLETED
    assert {"CancelPayment", "ReleaseStock"}.isdisjoint(contexts.commands)
    assert len({envelope.command_id for envelope in contexts.sent}) == 3
    await replay(handle)


@pytest.mark.parametrize("skip", [False, True])
async def test_an_operator_decides_about_what_is_unavailable(contexts: Contexts, skip: bool) -> None:
    await contexts.run(saga_examples.Plain, park_after=timedelta(minutes=2))
    contexts.answers = {"AuthorizePayment": [unavailable]}
    order = correlation()
    handle = await contexts.deliver(order, saga_examples.CHECKOUT)
    await contexts.deliver(order, saga_examples.AUTHORIZED)
    await contexts.reaches(handle, STUCK, by=MINUTE)
    if not skip:
        contexts.answers = {}
    await handle.signal(names.SAGA_RESUME, ResumeSagaRequest(skip=skip, reason="a test"))
    report = await handle.result()
    if skip:
        assert (report.status, report.failure_reason) == (COMPENSATED, "SKIPPED")
        # Nobody knows whether the payment was authorized in the end.
        assert contexts.commands[-2:] == ["CancelPayment", "ReleaseStock"]
    else:
        assert report.status == COMPLETED
    await replay(handle)


async def test_a_handler_that_raises_parks_a_saga_until_an_operator_resumes_it(contexts: Contexts) -> None:
    await contexts.run(saga_examples.Plain)
    contexts.answers = {"ReserveStock": [defect]}
    order = correlation()
    handle = await contexts.deliver(order, saga_examples.CHECKOUT)
    await contexts.deliver(order, saga_examples.AUTHORIZED)
    step = only(await contexts.reaches(handle, STUCK, by=MINUTE), PARKED)
    assert (step.reason, step.detail, step.attempts) == ("INTERNAL", "in the log as 7f", 9)
    contexts.answers = {}
    await handle.signal(names.SAGA_RESUME, ResumeSagaRequest(reason="fixed"))
    assert (await handle.result()).status == COMPLETED
    assert {"CancelPayment", "ReleaseStock"}.isdisjoint(contexts.commands)
    await replay(handle)


@pytest.mark.parametrize("cancelled", [False, True])
async def test_a_parked_defect_may_be_skipped_or_its_saga_cancelled(
    contexts: Contexts, cancelled: bool
) -> None:
    await contexts.run(saga_examples.Plain)
    contexts.answers = {"AuthorizePayment": [defect]}
    handle = await contexts.deliver(correlation(), saga_examples.CHECKOUT)
    await contexts.reaches(handle, STUCK, by=MINUTE)
    if cancelled:
        await handle.signal(names.SAGA_CANCEL, CancelSagaRequest(reason="a test"))
    else:
        await handle.signal(names.SAGA_RESUME, ResumeSagaRequest(skip=True, reason="a test"))
    report = await handle.result()
    assert (report.status, report.failure_detail) == (COMPENSATED, "a test")
    assert contexts.commands[-2:] == ["AuthorizePayment", "ReleaseStock"]
    await replay(handle)


async def test_a_compensation_with_a_defect_parks_and_is_retried(contexts: Contexts) -> None:
    await contexts.run(saga_examples.Plain)
    contexts.answers = {"CancelPayment": [defect]}
    order = correlation()
    handle = await contexts.deliver(order, saga_examples.CHECKOUT)
    await contexts.deliver(order, saga_examples.DECLINED)
    await contexts.reaches(handle, STUCK, by=MINUTE)
    contexts.answers = {}
    await handle.signal(names.SAGA_RESUME, ResumeSagaRequest())
    report = await handle.result()
    assert (report.status, report.failure_reason) == (COMPENSATED, "CARD_EXPIRED")
    assert len({e.command_id for e in contexts.sent if e.type.endswith("CancelPayment")}) == 1
    await replay(handle)


@pytest.mark.parametrize("skip", [False, True])
async def test_a_taken_id_parks_until_an_operator_lets_another_be_used(
    contexts: Contexts, skip: bool
) -> None:
    await contexts.run(saga_examples.Plain)
    contexts.answers = {"AuthorizePayment": [taken, applied]}
    order = correlation()
    handle = await contexts.deliver(order, saga_examples.CHECKOUT)
    await contexts.deliver(order, saga_examples.AUTHORIZED)
    step = only(await contexts.reaches(handle, STUCK, by=MINUTE), PARKED)
    assert (step.reason, step.detail) == ("COMMAND_ID_REUSED", "use a new id")
    await handle.signal(names.SAGA_RESUME, ResumeSagaRequest(skip=skip, reason="a test"))
    report = await handle.result()
    ids = [envelope.command_id for envelope in contexts.sent if envelope.type.endswith("AuthorizePayment")]
    if skip:
        assert (report.status, report.failure_reason) == (COMPENSATED, "SKIPPED")
        # Nobody knows whether it is the saga's own in an earlier form that has the id.
        assert contexts.commands[-2:] == ["CancelPayment", "ReleaseStock"]
    else:
        assert report.status == COMPLETED
        assert report.steps[1].command_id == ids[1] != ids[0]
        assert "CancelPayment" not in contexts.commands
    await replay(handle)


async def test_a_compensation_whose_id_is_taken_has_another_when_it_is_retried(contexts: Contexts) -> None:
    await contexts.run(saga_examples.Plain)
    contexts.answers = {"CancelPayment": [taken, applied]}
    order = correlation()
    handle = await contexts.deliver(order, saga_examples.CHECKOUT)
    await contexts.deliver(order, saga_examples.DECLINED)
    assert only(await contexts.reaches(handle, STUCK, by=MINUTE), PARKED).reason == "COMMAND_ID_REUSED"
    await handle.signal(names.SAGA_RESUME, ResumeSagaRequest())
    assert (await handle.result()).status == COMPENSATED
    assert len({e.command_id for e in contexts.sent if e.type.endswith("CancelPayment")}) == 2
    await replay(handle)


class Asked:
    """The adapter of a port, which answers when a test says so."""

    def __init__(self) -> None:
        self.attempts = 0
        self.answers = False

    async def ask(self, request: OrderView) -> OrderView:
        self.attempts += 1
        if not self.answers:
            raise ConnectionError("nobody is there")
        return OrderView(order_id=request.order_id, version=1)


async def shown(
    environment: WorkflowEnvironment, handle: Handle, wanted: Callable[[SagaStep], bool]
) -> SagaStep:
    """Wait until the first step of a saga is shown as wanted."""
    directory = SagaDirectory("orders", [TYPE], environment.client)
    async with asyncio.timeout(30):
        while True:
            step = (await directory.get("acme", handle.id)).report.steps[0]
            if wanted(step):
                return step
            await asyncio.sleep(0.05)


async def test_a_port_that_never_answers_shows_its_attempts_and_can_be_cancelled(
    contexts: Contexts, skipping: WorkflowEnvironment
) -> None:
    asked = Asked()
    await contexts.run(saga_examples.Asking, saga_examples.ASK.served_by(asked.ask))
    with skipping.auto_time_skipping_disabled():
        handle = await contexts.deliver(correlation(), saga_examples.CHECKOUT)
        await contexts.reaches(handle, DELAYED)
        step = await shown(skipping, handle, lambda step: step.attempts >= 4)
        assert (step.reason, step.detail) == ("ConnectionError", "nobody is there")
        assert step.HasField("delayed_since")
        await handle.signal(names.SAGA_CANCEL, CancelSagaRequest(reason="a test"))
        async with asyncio.timeout(60):
            report = await handle.result()
    assert (report.status, report.failure_reason) == (COMPENSATED, "CANCELLED")
    await replay(handle)


async def test_a_port_parks_its_saga_and_is_still_called(contexts: Contexts) -> None:
    asked = Asked()
    await contexts.run(
        saga_examples.Asking, saga_examples.ASK.served_by(asked.ask), park_after=timedelta(minutes=5)
    )
    handle = await contexts.deliver(correlation(), saga_examples.CHECKOUT)
    assert only(await contexts.reaches(handle, STUCK, by=MINUTE), PARKED).kind
    asked.answers = True
    assert (await handle.result()).status == COMPLETED
    await replay(handle)


async def test_a_worker_stops_though_an_adapter_blocks_and_another_calls_again(
    temporal: TemporalServer, bound: BoundContext
) -> None:
    client = await Client.connect(temporal.address, data_converter=data_converter)
    contexts = Contexts(WorkflowEnvironment.from_client(client), bound)
    started, released = threading.Event(), threading.Event()

    async def block(request: OrderView) -> OrderView:
        started.set()
        released.wait()
        return request

    await contexts.run(saga_examples.Asking, saga_examples.ASK.served_by(block))
    handle = await contexts.deliver(correlation(), saga_examples.CHECKOUT)
    assert await asyncio.to_thread(started.wait, 20)
    try:
        async with asyncio.timeout(60):
            await contexts.stop()
    finally:
        released.set()
    asked = Asked()
    asked.answers = True
    await contexts.run(saga_examples.Asking, saga_examples.ASK.served_by(asked.ask))
    assert (await handle.result()).status == COMPLETED
    await contexts.stop()


async def test_a_child_parks_by_itself_and_fails_its_parent_when_it_is_skipped(
    contexts: Contexts, skipping: WorkflowEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    await contexts.run(saga_examples.Parent)
    child = dataclasses.replace(saga_type(TYPE), name="Child")
    monkeypatch.setitem(saga_types._types, "orders.v1.ChildOfOrder", child)
    contexts.answers = {"AuthorizePayment": [defect]}
    order = correlation()
    parent = await contexts.deliver(order, saga_examples.CHECKOUT)
    child_id = names.saga_workflow_id("orders.v1.ChildOfOrder", "acme", f"{order}/2")
    handle: Handle = skipping.client.get_workflow_handle(child_id, result_type=SagaReport)
    assert only(await contexts.reaches(handle, STUCK, by=MINUTE), PARKED).reason == "INTERNAL"
    assert (await contexts.reaches(parent, SagaStatus.SAGA_STATUS_RUNNING)).failure_reason == ""
    await handle.signal(names.SAGA_RESUME, ResumeSagaRequest(skip=True, reason="a test"))
    report = await parent.result()
    assert (report.status, report.failure_detail) == (COMPENSATED, "SKIPPED")
    await replay(parent)


async def test_a_delay_ends_with_its_outcome(contexts: Contexts, skipping: WorkflowEnvironment) -> None:
    await contexts.run(saga_examples.Plain)
    contexts.answers = {"ReserveStock": [unavailable, applied]}
    with skipping.auto_time_skipping_disabled():
        handle = await contexts.deliver(correlation(), saga_examples.CHECKOUT)
        report = await contexts.reaches(handle, SagaStatus.SAGA_STATUS_WAITING)
        step = report.steps[0]
        assert (step.status, step.attempts) == (SagaStepStatus.SAGA_STEP_STATUS_DONE, 2)
        assert not step.HasField("delayed_since")
        await handle.terminate()
    await replay(handle)
