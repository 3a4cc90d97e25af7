"""The workflow that runs sagas, of every type, on Temporal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError, FailureError

with workflow.unsafe.imports_passed_through():
    from google.protobuf.message import Message
    from intent_contracts.intent.v1 import (
        CancelSagaRequest,
        ChildStart,
        CommandEnvelope,
        CommandOutcome,
        RecordedEvent,
        ResumeSagaRequest,
        SagaInput,
        SagaReport,
        SagaStatus,
    )

    from intent.errors import StepRejected
    from intent.saga_host.types import saga_type
    from intent.sagas import NeverStarted, Port, SagaIdentity, SagaRun
    from intent.temporal import names, policies
    from intent.temporal.attributes import SAGA_STATUS, SAGA_STEP, fair_to, saga_attributes, saga_summary

__all__ = ["SagaWorkflow"]

_MOMENT = 0.001
"""Seconds; a timer of any length ends the task."""


@workflow.defn(dynamic=True)
class SagaWorkflow:
    """Runs the saga whose message the workflow's type names.

    Signals may come before the run has begun, so they are kept until then.
    """

    def __init__(self) -> None:
        self._told: list[Callable[[SagaRun], None]] = []
        self._run: SagaRun | None = None

    @workflow.dynamic_config
    def config(self) -> workflow.DynamicWorkflowConfig:
        """Tells which version of the code goes on with it."""
        return workflow.DynamicWorkflowConfig(
            versioning_behavior=saga_type(workflow.info().workflow_type).behavior
        )

    @workflow.run
    async def run(self, args: Sequence[RawValue]) -> SagaReport:
        """Runs the saga to its end, going on in new runs when it is long.

        Args:
            args: A `SagaInput`, or nothing.

        Returns:
            Its report.

        Raises:
            ApplicationError: The event that starts it did not come; it may still be started anew.
        """
        begun = _input(args)
        type_ = saga_type(workflow.info().workflow_type)
        saga = type_.load()
        identity = SagaIdentity(workflow.info().workflow_id, type_.sends)
        host = _TemporalHost(type_.context, saga.history_limit)
        self._run = SagaRun(saga, identity, host, begun)
        for tell in self._told:
            tell(self._run)
        report = await self._finished(self._run)
        if report is None:
            workflow.continue_as_new(self._run.onward())
        return report

    async def _finished(self, run: SagaRun) -> SagaReport | None:
        """Waits for the saga's end; a cancellation of the workflow is one of the saga."""
        running = asyncio.ensure_future(run.run())
        while not running.done():
            try:
                await workflow.wait_condition(running.done)
            except asyncio.CancelledError:
                run.cancel("the workflow was cancelled in Temporal")
        try:
            return await running
        except NeverStarted as error:
            raise ApplicationError(str(error), type="NEVER_STARTED", non_retryable=True) from error

    @workflow.signal(name=names.SAGA_SIGNAL)
    def deliver(self, event: RecordedEvent) -> None:
        """Takes in an event."""
        self._tell(lambda run: run.deliver(event))

    @workflow.signal(name=names.SAGA_RESUME)
    def resume(self, request: ResumeSagaRequest) -> None:
        """Has a parked compensation go on."""
        self._tell(lambda run: run.resume(request))

    @workflow.signal(name=names.SAGA_CANCEL)
    def cancel(self, request: CancelSagaRequest) -> None:
        """Ends the saga at its next step."""
        self._tell(lambda run: run.cancel(request.reason))

    @workflow.query(name=names.SAGA_REPORT)
    def report(self) -> SagaReport:
        """Tells how far it is."""
        if self._run is None:
            return SagaReport(status=SagaStatus.SAGA_STATUS_UNSTARTED)
        return self._run.report()

    def _tell(self, tell: Callable[[SagaRun], None]) -> None:
        if self._run is None:
            self._told.append(tell)
        else:
            tell(self._run)


def _input(args: Sequence[RawValue]) -> SagaInput:
    if not args:
        return SagaInput()
    begun: SagaInput = workflow.payload_converter().from_payload(args[0].payload, SagaInput)
    return begun


class _TemporalHost:
    """Runs what is durable of a saga on Temporal; see `intent.sagas.SagaHost`."""

    def __init__(self, context: str, history_limit: int) -> None:
        self._context = context
        self._history_limit = history_limit
        self._shown = ("", "")

    @property
    def full(self) -> bool:
        """True when Temporal suggests a new run, or the saga's own limit is passed."""
        info = workflow.info()
        return info.is_continue_as_new_suggested() or (
            info.get_current_history_length() > self._history_limit
        )

    def now(self) -> datetime:
        """Returns the workflow's time."""
        return workflow.now()

    def changed(self, change: str) -> bool:
        """Asks for Temporal's patch marker."""
        return workflow.patched(change)

    async def send(self, envelope: CommandEnvelope, on_delay: Callable[[], None]) -> CommandOutcome:
        """Sends a command through the router of this process, which is the quick way.

        Where that brings no outcome, a regular activity goes on: its retries are the server's, so
        that a context which is away for days holds no slot and lets no history grow.
        """
        with suppress(FailureError):
            quick: CommandOutcome = await workflow.execute_local_activity(
                names.ROUTE_COMMAND,
                envelope,
                result_type=CommandOutcome,
                start_to_close_timeout=policies.QUICK_ROUTE_TIMEOUT,
                retry_policy=policies.ONCE,
            )
            return quick
        on_delay()
        slow: CommandOutcome = await workflow.execute_activity(
            names.ROUTE_COMMAND,
            envelope,
            result_type=CommandOutcome,
            start_to_close_timeout=policies.SLOW_ROUTE_TIMEOUT,
            retry_policy=policies.SLOW_ROUTE_RETRY,
            summary=envelope.type,
        )
        return slow

    async def call(self, port: Port[Any, Any], request: Message) -> Message:
        """Calls a port through a regular activity, which outlives this process."""
        try:
            answer: Message = await workflow.execute_activity(
                names.port_activity(self._context, port.name),
                request,
                result_type=port.answer,
                start_to_close_timeout=port.timeout,
                heartbeat_timeout=policies.PORT_HEARTBEAT,
                retry_policy=policies.PORT_RETRY,
            )
        except FailureError as error:
            raise StepRejected("CALL_ENDED", f"it was ended from outside: {error.cause or error}") from error
        return answer

    async def child(self, workflow_id: str, start: ChildStart) -> SagaReport:
        """Runs a child saga as a child workflow."""
        type_, tenant, correlation = workflow_id.split("/", 2)
        running = SagaStatus.SAGA_STATUS_RUNNING
        try:
            report: SagaReport = await workflow.execute_child_workflow(
                type_,
                SagaInput(child=start),
                id=workflow_id,
                result_type=SagaReport,
                parent_close_policy=workflow.ParentClosePolicy.ABANDON,
                task_timeout=names.SAGA_TASK_TIMEOUT,
                search_attributes=saga_attributes(self._context, tenant, start.cause.correlation_id, running),
                static_summary=saga_summary(type_, tenant, correlation),
                priority=fair_to(tenant),
            )
        except FailureError as error:
            return SagaReport(
                status=SagaStatus.SAGA_STATUS_FAILED,
                failure_reason="CHILD_ENDED",
                failure_detail=f"the workflow {workflow_id} was ended from outside: {error.cause or error}",
            )
        return report

    async def cancel_child(self, workflow_id: str, reason: str) -> None:
        """Tells a child saga to end."""
        handle = workflow.get_external_workflow_handle(workflow_id)
        with suppress(FailureError):
            await handle.signal(names.SAGA_CANCEL, CancelSagaRequest(id=workflow_id, reason=reason))

    async def wait(self, condition: Callable[[], bool], until: datetime | None) -> bool:
        """Waits by a timer of Temporal."""
        if condition():
            return True
        left = None if until is None else until - workflow.now()
        if left is not None and left <= timedelta(0):
            return False
        try:
            await workflow.wait_condition(condition, timeout=left)
        except TimeoutError:
            return False
        return True

    async def checkpoint(self) -> None:
        """Ends the workflow's task, so that no event can come before what the saga knows by now.

        Temporal's timers take up to a second, so this is for what is rare. Closing needs none: Temporal
        refuses to close a workflow to which a signal has just come and has the task done again, but an
        event that comes between changes nothing of what a saga sends.
        """
        await asyncio.sleep(_MOMENT)

    def show(self, status: SagaStatus.ValueType, step: str) -> None:
        """Sets the search attributes by which lists find it."""
        shown = (names.saga_status(status), step[:200])
        if shown != self._shown:
            self._shown = shown
            workflow.upsert_search_attributes(
                [SAGA_STATUS.value_set(shown[0]), SAGA_STEP.value_set(shown[1] or "-")]
            )
