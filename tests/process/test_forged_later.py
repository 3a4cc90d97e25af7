"""What was decided about forged messages stays decided, and what has begun is neither ended nor misled."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio
from intent.dev.services import Postgres, TemporalServer
from intent.settings.signing import Window
from intent.temporal import names
from intent.temporal.signing.signing import MAC
from intent_contracts.intent.v1 import CommandBatch, ResumeSagaRequest, SagaInput, SagaReport, SagaStatus
from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.client import WorkflowExecutionStatus
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from ..support.command_path import eventually
from .forged_shop import QUEUE, SAGA, Site, forged, saga_of, site

COMMANDS = names.command_queue("payments")


@pytest_asyncio.fixture
async def here(postgres: Postgres, temporal: TemporalServer, tmp_path: Path) -> AsyncIterator[Site]:
    async with site(postgres, temporal, tmp_path) as prepared:
        yield prepared


def calls_for(here: Site, payment: str) -> int:
    """Return how often the provider was called for a payment."""
    return sum(payment in call for call in here.provider.calls)


async def test_forged_signals_that_were_dropped_stay_dropped(here: Site) -> None:
    payment = uuid4().hex
    async with here.shop() as shop:
        saga = await shop.forger.client.start_workflow(
            SAGA,
            id=saga_of(payment),
            task_queue=QUEUE,
            start_signal=names.SAGA_SIGNAL,
            start_signal_args=[forged(payment)],
        )
        await saga.query(names.SAGA_REPORT)
    now = datetime.now(UTC)
    window = Window(now, now + timedelta(hours=1))
    async with here.shop(temporal_unsigned_until=(window,)) as shop:
        # It has looked at all that came, and still waits for an event that starts it.
        report = await saga.query(names.SAGA_REPORT, result_type=SagaReport)
        assert report.status == SagaStatus.SAGA_STATUS_UNSTARTED
        assert calls_for(here, payment) == 0
        await shop.authorize(payment)
        await saga.result()
        assert calls_for(here, payment) == 1


async def test_a_genuine_message_of_another_kind_is_no_event(here: Site) -> None:
    payment = uuid4().hex
    client = await here.client()
    async with here.shop() as shop:
        saga = await client.start_workflow(
            SAGA,
            id=saga_of(payment),
            task_queue=QUEUE,
            start_signal=names.SAGA_SIGNAL,
            start_signal_args=[ResumeSagaRequest(id=saga_of(payment))],
        )
        await shop.authorize(payment)
        await saga.result()
        assert calls_for(here, payment) == 1


@workflow.defn(dynamic=True)
class GoesOn:
    """Goes on in a run for the genuine workers of a queue."""

    @workflow.run
    async def run(self, args: Sequence[RawValue]) -> None:
        queue = COMMANDS if workflow.info().workflow_type == names.PROCESS_COMMANDS else QUEUE
        workflow.continue_as_new(args=args, task_queue=queue)


@pytest.mark.parametrize("kind", ["saga", "batch"])
async def test_what_goes_on_in_a_new_run_is_not_ended(here: Site, kind: str) -> None:
    own, payment = uuid4().hex, uuid4().hex
    async with here.shop() as shop:
        client = shop.forger.client
        async with Worker(
            client, task_queue=own, workflows=[GoesOn], workflow_runner=UnsandboxedWorkflowRunner()
        ):
            saga = kind == "saga"
            begun = await client.start_workflow(
                SAGA if saga else names.PROCESS_COMMANDS,
                SagaInput(events=[forged(payment)]) if saga else CommandBatch(context="payments"),
                id=saga_of(payment) if saga else own,
                task_queue=own,
            )
            handle = client.get_workflow_handle(begun.id)

            async def waits() -> bool:
                described = await handle.describe()
                assert described.status != WorkflowExecutionStatus.FAILED
                return bool(described.raw_description.pending_workflow_task.attempt > 1)

            await eventually(waits, 90)
        await handle.terminate()
        assert calls_for(here, payment) == 0


@workflow.defn(name=SAGA)
class Failing:
    """Fails with details, as somebody may who answers in place of a worker."""

    @workflow.run
    async def run(self) -> None:
        raise ApplicationError("made up", "details", type="MADE_UP")


async def test_a_saga_that_failed_with_forged_details_is_shown(here: Site) -> None:
    directory, client, id_ = await here.directory(), here.forger.client, saga_of(uuid4().hex)
    own = uuid4().hex
    async with Worker(
        client, task_queue=own, workflows=[Failing], workflow_runner=UnsandboxedWorkflowRunner()
    ):
        saga = await client.start_workflow(SAGA, id=id_, task_queue=own)

        async def failed() -> bool:
            return (await saga.describe()).status == WorkflowExecutionStatus.FAILED

        await eventually(failed, 90)
    shown = await directory.get("acme", id_)
    assert shown.saga.status == SagaStatus.SAGA_STATUS_FAILED
    assert shown.report.failure_reason == "MAC_MISSING"


async def test_a_step_whose_failure_has_details_is_shown(here: Site) -> None:
    payment = uuid4().hex
    here.provider.fails = ApplicationError("the bank is closed", {"until": "nine"}, type="BANK_CLOSED")
    directory = await here.directory()
    async with here.shop() as shop:
        await shop.authorize(payment)

        async def shown() -> bool:
            if calls_for(here, payment) < 2:
                return False
            (step,) = (await directory.get("acme", saga_of(payment))).report.steps
            return (step.reason, step.detail, step.attempts > 1) == (
                "BANK_CLOSED",
                "the bank is closed",
                True,
            )

        await eventually(shown, 90)
        here.provider.fails = None
        await shop.forger.client.get_workflow_handle(saga_of(payment)).result()


async def test_a_saga_that_a_made_up_key_holds_up_is_reset(here: Site) -> None:
    payment = uuid4().hex
    here.provider.fails = RuntimeError("closed")
    async with here.shop() as shop:
        client, id_ = shop.forger.client, saga_of(payment)
        await shop.authorize(payment)

        async def began() -> bool:
            return calls_for(here, payment) > 1

        await eventually(began, 90)
        made_up = Payload(metadata={"encoding": b"binary/null", MAC: os.urandom(40)})
        await client.get_workflow_handle(id_).signal(names.SAGA_SIGNAL, RawValue(made_up))

        async def held_up() -> bool:
            described = await client.get_workflow_handle(id_).describe()
            return bool(described.raw_description.pending_workflow_task.attempt > 1)

        await eventually(held_up, 90)
        here.provider.fails = None
        # As the runbook says.
        program = Path(sys.executable).parent / "temporal"
        what = ("--workflow-id", id_, "--type", "LastWorkflowTask", "--reapply-exclude", "Signal")
        address = ("--address", here.settings.temporal_address)
        resetting = await asyncio.create_subprocess_exec(
            program, "workflow", "reset", *what, "--reason", "a made-up key", *address
        )
        assert await resetting.wait() == 0
        await client.get_workflow_handle(id_).result()
