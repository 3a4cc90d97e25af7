"""Runs sagas on Temporal, and answers their commands in place of contexts."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import re
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

from google.protobuf.message import Message
from intent.guarding import Guard
from intent.model import BoundContext
from intent.saga_host import SagaWorkflow, saga_runner, saga_worker
from intent.saga_host.types import saga_type
from intent.sagas import Adapter, Saga
from intent.temporal import WorkerSettings, data_converter, names
from intent_contracts.intent.v1 import (
    CommandEnvelope,
    CommandOutcome,
    CommandResult,
    Failure,
    FailureKind,
    RecordedEvent,
    SagaReport,
    SagaStatus,
)
from temporalio import activity
from temporalio.client import WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Replayer, Worker

TYPE = "orders.v1.FulfilOrder"
HISTORIES = Path(__file__).parents[1] / "replay" / "histories"
RECORDED_FOR = "INTENT_TEST_RECORDED_FOR"
"""The variable with the release for which replayed histories are kept; see `tests.replay.record_examples`."""
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

    async def run(
        self,
        saga: type[Saga],
        *ports: Adapter,
        park_after: timedelta = timedelta(days=1),
        guard: Guard | None = None,
    ) -> None:
        """Start a worker for a saga in place of FulfilOrder."""
        adapters = {adapter.port.name: adapter for adapter in ports}
        bound = dataclasses.replace(self._bound, sagas={TYPE: saga}, ports=adapters)
        settings = WorkerSettings(drain=1, park_after=park_after.total_seconds())
        self._worker = saga_worker(self._environment.client, bound, self.route_command, settings, guard=guard)
        await self._worker.__aenter__()

    async def stop(self) -> None:
        if self._worker is not None:
            await self._worker.__aexit__(None, None, None)
            self._worker = None

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
            start_signal_args=[recorded(event, event_id)],
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            result_type=SagaReport,
            memo=names.saga_memo(),
        )

    async def signal(self, workflow_id: str, event: Message) -> None:
        """Deliver an event to a saga that its parent starts, once it is there."""
        handle = self._environment.client.get_workflow_handle(workflow_id)
        async with asyncio.timeout(60):
            while True:
                try:
                    return await handle.signal(names.SAGA_SIGNAL, recorded(event))
                except RPCError:
                    await asyncio.sleep(0.02)

    async def reaches(
        self, handle: Handle, status: SagaStatus.ValueType, *, by: timedelta = timedelta(0)
    ) -> SagaReport:
        """Wait until a saga is there and reports a status; let time pass in steps of `by`."""
        async with asyncio.timeout(60):
            while True:
                with suppress(RPCError):
                    report: SagaReport = await handle.query(names.SAGA_REPORT, result_type=SagaReport)
                    if report.status == status:
                        return report
                await asyncio.sleep(0.02)
                if by:
                    await self._environment.sleep(by)


def recorded(event: Message, event_id: str = "") -> RecordedEvent:
    return RecordedEvent(
        event_id=event_id or str(uuid4()),
        type=event.DESCRIPTOR.full_name,
        data=event.SerializeToString(),
        tenant_id="acme",
        correlation_id="story-1",
        actor="user:ann",
    )


async def replay(*handles: Handle) -> None:
    """Replay what sagas did, in the sandbox, as a worker does that takes over."""
    replayer = Replayer(
        workflows=[SagaWorkflow], data_converter=data_converter, workflow_runner=saga_runner()
    )
    for handle in handles:
        history = await handle.fetch_history()
        await replayer.replay_workflow(history)
        release = os.environ.get(RECORDED_FOR)
        if release:
            # The time-skipping server leaves it out, and the ids of commands and children follow from it.
            history.events[0].workflow_execution_started_event_attributes.workflow_id = handle.id
            test = os.environ["PYTEST_CURRENT_TEST"].partition("::test_")[2].partition(" ")[0]
            words = re.sub("[^A-Za-z]+", "_", test).strip("_")
            file = HISTORIES / f"example_{saga_type(TYPE).name}_{words}_{release}.json"
            await asyncio.to_thread(file.write_text, history.to_json())


def correlation() -> str:
    return uuid4().hex
