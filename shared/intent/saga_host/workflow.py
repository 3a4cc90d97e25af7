"""The workflow that runs sagas, of every type, on Temporal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RawValue, RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, FailureError, RetryState
from temporalio.worker.workflow_sandbox import RestrictedWorkflowAccessError

with workflow.unsafe.imports_passed_through():
    from google.protobuf.message import Message
    from intent_contracts.intent.v1 import (
        CancelSagaRequest,
        ChildStart,
        CommandEnvelope,
        CommandOutcome,
        GetSagaRequest,
        RecordedEvent,
        ResumeSagaRequest,
        SagaInput,
        SagaReport,
        SagaStatus,
    )

    from intent.errors import StepRejected
    from intent.saga_host.failures import reason_of
    from intent.saga_host.outcomes import outcome_of
    from intent.saga_host.types import SagaType, saga_type
    from intent.sagas import NeverStarted, Port, SagaIdentity, SagaRun
    from intent.sagas.forbidden import forbidden
    from intent.sagas.host import CallEnded, Delayed, Problem
    from intent.temporal import names, policies
    from intent.temporal.attributes import SAGA_STATUS, SAGA_STEP, fair_to, saga_attributes, saga_summary
    from intent.temporal.signing import MAC_KEY_UNKNOWN, PayloadRefused

__all__ = ["SagaWorkflow"]

T = TypeVar("T")

_CALLS_HAVE_IDS = "calls-have-ids"
"""The change since which each call of a port has an id, so that an answer is believed for its call only."""

_MOMENT = 0.001
"""Seconds; a timer of any length ends the task."""


@workflow.defn(dynamic=True)
class SagaWorkflow:
    """The workflow of the saga whose message the workflow's type names.

    Signals may arrive before the run has started, so they are kept until then.
    """

    def __init__(self) -> None:
        self._early: list[Callable[[SagaRun], None]] = []
        self._run: SagaRun | None = None

    @workflow.dynamic_config
    def config(self) -> workflow.DynamicWorkflowConfig:
        """Return which version of the code continues it."""
        return workflow.DynamicWorkflowConfig(
            versioning_behavior=saga_type(workflow.info().workflow_type).behavior
        )

    @workflow.run
    async def run(self, args: Sequence[RawValue]) -> SagaReport:
        """Run the saga to its end, in further runs when it is long.

        Args:
            args: A `SagaInput`, or nothing.

        Returns:
            Its report.

        Raises:
            ApplicationError: The event that starts it did not come; a later one may still start it. Or it
                failed before, and Temporal has forgotten that.
        """
        try:
            over = await _over()
            return over if over is not None else await self._run_saga(_input(args))
        except PayloadRefused as error:
            raise _ending(error) from None
        except RestrictedWorkflowAccessError as error:
            # Its own message advises what is wrong for sagas, and its stack is the sandbox's.
            raise forbidden(error.qualified_name).with_traceback(error.__traceback__) from None

    async def _run_saga(self, saga_input: SagaInput) -> SagaReport:
        type_ = saga_type(workflow.info().workflow_type)
        saga = type_.load()
        identity = SagaIdentity(workflow.info().workflow_id, type_.sends)
        host = _TemporalHost(type_, saga.history_limit)
        self._run = SagaRun(saga, identity, host, saga_input)
        for signal in self._early:
            signal(self._run)
        report = await self._finished(self._run)
        if report is None:
            warning = self._run.report().warning
            if warning:
                workflow.logger.warning("%s: %s", workflow.info().workflow_id, warning)
            workflow.continue_as_new(self._run.onward(), memo=names.saga_memo())
        return report

    async def _finished(self, run: SagaRun) -> SagaReport | None:
        """Wait for the saga's end; a cancellation of the workflow cancels the saga."""
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
    def deliver(self, event: RawValue) -> None:
        """Receive an event."""
        self._pass_on(event, RecordedEvent, SagaRun.deliver)

    @workflow.signal(name=names.SAGA_RESUME)
    def resume(self, request: RawValue) -> None:
        """Resume the parked steps."""
        self._pass_on(request, ResumeSagaRequest, SagaRun.resume)

    @workflow.signal(name=names.SAGA_CANCEL)
    def cancel(self, request: RawValue) -> None:
        """End the saga at its next step."""
        self._pass_on(request, CancelSagaRequest, lambda run, opened: run.cancel(opened.reason))

    @workflow.query(name=names.SAGA_REPORT)
    def report(self) -> SagaReport:
        """Return the saga's report."""
        if self._run is None:
            return SagaReport(status=SagaStatus.SAGA_STATUS_UNSTARTED)
        return self._run.report()

    def _pass_on(self, value: RawValue, type_: type[T], act: Callable[[SagaRun, T], None]) -> None:
        """Let the run act on a signal, which is dropped when its sender is not believed.

        Raises:
            RuntimeError: The key of its MAC may still come; the task is tried again.
        """
        try:
            message = _opened(value, type_)
        except PayloadRefused as error:
            if error.type == MAC_KEY_UNKNOWN and self._run is not None:
                raise RuntimeError(str(error)) from None
            return
        if self._run is None:
            self._early.append(lambda run: act(run, message))
        else:
            act(self._run, message)


def _opened(value: RawValue, type_: type[T]) -> T:
    message: T = workflow.payload_converter().from_payload(value.payload, type_)
    return message


def _ending(error: PayloadRefused) -> Exception:
    """Return the error of a saga whose input is not believed, so that a genuine event may still start it.

    One that has begun already, be it in an earlier run, only waits: its keys, or the time for which none are
    needed, were changed.
    """
    if workflow.unsafe.is_replaying() or workflow.info().continued_run_id:
        return RuntimeError(str(error))
    unstarted = names.saga_status(SagaStatus.SAGA_STATUS_UNSTARTED)
    workflow.upsert_search_attributes([SAGA_STATUS.value_set(unstarted)])
    return error


async def _over() -> SagaReport | None:
    """Return how the saga ended, when it has ended before and would begin again with an old event.

    Raises:
        ApplicationError: It failed, or was ended from outside.
    """
    if not workflow.memo_value(names.SAGA_ASKS, 0, type_hint=int):
        return None
    report: SagaReport = await workflow.execute_local_activity(
        names.SAGA_END,
        GetSagaRequest(id=workflow.info().workflow_id),
        result_type=SagaReport,
        start_to_close_timeout=policies.ROUTE_TIMEOUT,
        retry_policy=policies.ROUTE_RETRY,
    )
    if not report.status:
        return None
    workflow.upsert_search_attributes([SAGA_STATUS.value_set(names.saga_status(report.status))])
    if report.status == SagaStatus.SAGA_STATUS_FAILED:
        raise ApplicationError(report.failure_detail, type=report.failure_reason, non_retryable=True)
    return report


def _input(args: Sequence[RawValue]) -> SagaInput:
    if not args:
        return SagaInput()
    return _opened(args[0], SagaInput)


class _TemporalHost:
    """The durable part of a saga on Temporal; see `intent.sagas.SagaHost`."""

    def __init__(self, type_: SagaType, history_limit: int) -> None:
        self._context = type_.context
        self._park_after = type_.park_after
        self._history_limit = history_limit
        # Asked once: the time at which it is asked for decides whether one without a MAC is believed.
        self._code = workflow.memo_value(names.SAGA_CODE, 0, type_hint=int)
        self._shown = ("", "")
        self._retried = 0
        self._calls: list[workflow.ActivityHandle[Any]] = []
        self._ended_calls: list[workflow.ActivityHandle[Any]] = []

    @property
    def full(self) -> bool:
        """True when Temporal suggests a new run, or history exceeds the saga's own limit."""
        info = workflow.info()
        return info.is_continue_as_new_suggested() or (
            info.get_current_history_length() > self._history_limit
        )

    @property
    def park_after(self) -> timedelta:
        """The setting of the process that first waits; a timer records it."""
        return self._park_after

    def now(self) -> datetime:
        """Return the workflow's time."""
        return workflow.now()

    def changed(self, change: str) -> bool:
        """Return whether the workflow has Temporal's patch marker of this name."""
        return workflow.patched(change)

    def follows(self, change: str, since: int = 1) -> bool:
        """Return whether the workflow began with the platform's code after a change, or came to it since.

        Its memo says it without an event in history. A workflow from before memos has a marker, which
        comes too late for what follows from a local activity; so one from before a later change keeps to
        what it began with.
        """
        return self._code >= since or (since == 1 and workflow.patched(change))

    async def send_once(self, envelope: CommandEnvelope) -> CommandOutcome:
        """Send a command through the router of this process."""
        try:
            outcome: CommandOutcome = await workflow.execute_local_activity(
                names.ROUTE_COMMAND,
                envelope,
                result_type=CommandOutcome,
                start_to_close_timeout=policies.QUICK_ROUTE_TIMEOUT,
                retry_policy=policies.ONCE,
            )
        except FailureError as error:
            raise Delayed(Problem(*reason_of(error))) from error
        return outcome_of(envelope, outcome)

    async def send(self, envelope: CommandEnvelope, path: str) -> CommandOutcome:
        """Send a command by a regular activity, whose retries are the server's.

        So a context that is unavailable for days occupies no slot and lets no history grow.
        """
        outcome: CommandOutcome = await workflow.execute_activity(
            names.ROUTE_COMMAND,
            envelope,
            result_type=CommandOutcome,
            activity_id=self._activity_id(path),
            start_to_close_timeout=policies.SLOW_ROUTE_TIMEOUT,
            retry_policy=policies.SLOW_ROUTE_RETRY,
            summary=envelope.type,
        )
        return outcome_of(envelope, outcome)

    async def call_once(self, port: Port[Any, Any], request: Message, path: str) -> Message:
        """Call a port by a regular activity, which outlives this process."""
        activity_id = self._activity_id(path) if self.follows(_CALLS_HAVE_IDS, since=3) else None
        return await self._called(port, request, activity_id, policies.ONCE)

    async def call(self, port: Port[Any, Any], request: Message, path: str) -> Message:
        """Call a port by a regular activity, whose retries are the server's."""
        return await self._called(port, request, self._activity_id(path), policies.PORT_RETRY)

    async def _called(
        self, port: Port[Any, Any], request: Message, activity_id: str | None, retry: RetryPolicy
    ) -> Message:
        call = workflow.start_activity(
            names.port_activity(self._context, port.name),
            request,
            result_type=port.answer,
            activity_id=activity_id,
            start_to_close_timeout=port.timeout + policies.PORT_GRACE,
            heartbeat_timeout=policies.PORT_HEARTBEAT,
            retry_policy=retry,
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        )
        self._calls.append(call)
        try:
            answer: Message = await call
        except FailureError as error:
            if call in self._ended_calls:
                raise CallEnded from error
            if isinstance(error, ActivityError) and error.retry_state == RetryState.MAXIMUM_ATTEMPTS_REACHED:
                raise Delayed(Problem(*reason_of(error))) from error
            raise StepRejected("CALL_ENDED", f"it was ended from outside: {error.cause or error}") from error
        finally:
            self._calls.remove(call)
        return answer

    def end_calls(self) -> None:
        """Ask the server to end the calls under way; what is between two attempts ends at once."""
        self._ended_calls = list(self._calls)
        for call in self._ended_calls:
            call.cancel()

    def _activity_id(self, path: str) -> str | None:
        """Return the id of an activity of a step, each another one."""
        if not path:
            return None
        self._retried += 1
        return names.step_activity_id(path, self._retried)

    async def child(self, workflow_id: str, start: ChildStart) -> SagaReport:
        """Run a child saga as a child workflow."""
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
                memo=names.saga_memo(),
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
        """Cancel a child saga."""
        handle = workflow.get_external_workflow_handle(workflow_id)
        with suppress(FailureError):
            await handle.signal(names.SAGA_CANCEL, CancelSagaRequest(id=workflow_id, reason=reason))

    async def wait(self, condition: Callable[[], bool], until: datetime | None) -> bool:
        """Wait until a condition holds, or for a timer of Temporal; return whether it holds."""
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
        """End the workflow's task, so that no event can come before what the saga knows by now.

        Temporal's timers take up to a second, so this is for rare cases. Closing a saga needs no
        checkpoint: Temporal refuses to close a workflow that has just received a signal and has the task
        repeated, but an event that arrives in between changes nothing about what the saga sends.
        """
        await asyncio.sleep(_MOMENT)

    def show(self, status: SagaStatus.ValueType, step: str) -> None:
        """Set the search attributes by which lists find it."""
        shown = (names.saga_status(status), step[:200])
        if shown != self._shown:
            self._shown = shown
            workflow.upsert_search_attributes(
                [SAGA_STATUS.value_set(shown[0]), SAGA_STEP.value_set(shown[1] or "-")]
            )
