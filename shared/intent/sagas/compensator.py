"""Undoes a failed saga by its compensations, the last one first."""

from __future__ import annotations

from intent_contracts.intent.v1 import CommandOutcome, ResumeSagaRequest, SagaStep, SagaStepKind

from intent.sagas.compensation import Compensations, Registered
from intent.sagas.host import SagaHost
from intent.sagas.journal import DONE, PARKED, RUNNING, SKIPPED
from intent.sagas.outbox import Outbox
from intent.sagas.report import COMPENSATING, STUCK, Report

__all__ = ["Compensator"]


class Compensator:
    """Runs compensations until each is done, or skipped by an operator.

    A compensation waits for its context as any command does. Retrying does not help one that is
    rejected: it is parked, the saga is reported as stuck, and an operator, who knows more, retries
    or skips it.

    Args:
        host: Runs the durable calls.
        report: The saga's report.
        outbox: Sends its commands.
    """

    def __init__(self, host: SagaHost, report: Report, outbox: Outbox) -> None:
        self._host = host
        self._report = report
        self._outbox = outbox
        self._parked = False
        self._resumed: ResumeSagaRequest | None = None

    @property
    def parked(self) -> bool:
        """True while a compensation waits for an operator."""
        return self._parked

    def resume(self, request: ResumeSagaRequest) -> None:
        """Resume the parked compensation; do nothing without one."""
        if self._parked:
            self._resumed = request

    async def undo(self, compensations: Compensations) -> None:
        """Run the compensations, the last one first."""
        for registered in compensations.reversed():
            await self._compensate(registered)

    async def _compensate(self, registered: Registered) -> None:
        command = registered.compensation.command
        step = self._report.begin(
            registered.path,
            SagaStepKind.SAGA_STEP_KIND_COMMAND,
            command.DESCRIPTOR.full_name,
            compensates=registered.step,
        )
        while step.status == RUNNING:
            envelope = self._outbox.envelope(registered.path, command, step.attempts)
            step.command_id = envelope.command_id
            outcome = await self._outbox.decided(envelope)
            if self._done(registered, outcome):
                self._report.end(step, DONE, outcome.failure.reason, outcome.failure.message)
                return
            await self._park(step, outcome)

    def _done(self, registered: Registered, outcome: CommandOutcome) -> bool:
        if not outcome.HasField("failure"):
            return True
        return outcome.failure.reason in registered.compensation.accepts

    async def _park(self, step: SagaStep, outcome: CommandOutcome) -> None:
        """Wait for an operator."""
        step.status, step.reason, step.detail = PARKED, outcome.failure.reason, outcome.failure.message
        request = await self._told(step)
        if request.skip:
            self._report.end(step, SKIPPED, step.reason, request.reason or step.detail)
            return
        step.status = RUNNING
        step.attempts += 1

    async def _told(self, step: SagaStep) -> ResumeSagaRequest:
        self._parked = True
        self._report.enter(STUCK)
        self._host.show(STUCK, step.name.rpartition(".")[2])
        await self._host.wait(lambda: self._resumed is not None, None)
        request, self._resumed, self._parked = self._resumed, None, False
        self._report.enter(COMPENSATING)
        self._host.show(COMPENSATING, step.name.rpartition(".")[2])
        assert request is not None
        return request
