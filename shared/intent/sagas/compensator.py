"""Undoes a failed saga by its compensations, the last one first."""

from __future__ import annotations

from itertools import count

from intent_contracts.intent.v1 import ResumeSagaRequest, SagaStep, SagaStepKind

from intent.sagas.attempts import Attempts, GivenUp
from intent.sagas.compensation import Compensations, Registered
from intent.sagas.host import Problem
from intent.sagas.journal import DONE, SKIPPED
from intent.sagas.outbox import Outbox
from intent.sagas.report import Report

__all__ = ["Compensator"]


class Compensator:
    """Runs compensations until each is done, or skipped by an operator.

    A compensation waits for its context as any command does. Retrying does not help one that is
    rejected: it is parked, the saga is reported as stuck, and an operator, who knows more, retries
    or skips it.

    Args:
        report: The saga's report.
        outbox: Makes its commands.
        attempts: Sends them.
    """

    def __init__(self, report: Report, outbox: Outbox, attempts: Attempts) -> None:
        self._report = report
        self._outbox = outbox
        self._attempts = attempts

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
        # Each rejection is kept under the id of its attempt; nothing else uses an id up.
        for attempt in count(1):
            envelope = self._outbox.envelope(registered.path, command, attempt)
            step.command_id = envelope.command_id
            try:
                outcome = await self._attempts.decided(step, envelope)
            except GivenUp as given_up:
                return self._skip(step, given_up.problem, given_up.skip)
            failure = outcome.failure
            if not outcome.HasField("failure") or failure.reason in registered.compensation.accepts:
                return self._report.end(step, DONE, failure.reason, failure.message)
            problem = Problem(failure.reason, failure.message)
            request = await self._attempts.parked(step, problem)
            if request is not None and request.skip:
                return self._skip(step, problem, request)
        return None

    def _skip(self, step: SagaStep, problem: Problem, request: ResumeSagaRequest | None) -> None:
        words = request.reason if request is not None else ""
        self._report.end(step, SKIPPED, problem.reason, words or problem.detail)
