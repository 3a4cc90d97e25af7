"""Tells how far a saga is, for operators."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from intent_contracts.intent.v1 import (
    SagaReport,
    SagaStatus,
    SagaStep,
    SagaStepKind,
    SagaStepStatus,
)

from intent.sagas.journal import RUNNING, stamp

__all__ = [
    "COMPENSATED",
    "COMPENSATING",
    "COMPLETED",
    "ONGOING",
    "STUCK",
    "UNSTARTED",
    "WAITING",
    "Report",
]

UNSTARTED = SagaStatus.SAGA_STATUS_UNSTARTED
ONGOING = SagaStatus.SAGA_STATUS_RUNNING
WAITING = SagaStatus.SAGA_STATUS_WAITING
COMPENSATING = SagaStatus.SAGA_STATUS_COMPENSATING
STUCK = SagaStatus.SAGA_STATUS_STUCK
COMPLETED = SagaStatus.SAGA_STATUS_COMPLETED
COMPENSATED = SagaStatus.SAGA_STATUS_COMPENSATED

_WAITS = {SagaStepKind.SAGA_STEP_KIND_EVENT, SagaStepKind.SAGA_STEP_KIND_SLEEP}


class Report:
    """Keeps a saga's report.

    Args:
        report: The report so far, from an earlier run.
        now: Tells the time.
    """

    def __init__(self, report: SagaReport, now: Callable[[], datetime]) -> None:
        self._report = report
        self._now = now
        self._steps = {step.path: step for step in report.steps}

    def begin(self, path: str, kind: SagaStepKind.ValueType, name: str, *, compensates: str = "") -> SagaStep:
        """Notes that a step began; one that an earlier run began is returned as it is."""
        known = self._steps.get(path)
        if known is not None:
            return known
        step = self._report.steps.add(
            path=path,
            kind=kind,
            name=name,
            status=RUNNING,
            started_at=stamp(self._now()),
            compensates=compensates,
            attempts=1,
        )
        self._steps[path] = step
        return step

    def end(
        self, step: SagaStep, status: SagaStepStatus.ValueType, reason: str = "", detail: str = ""
    ) -> None:
        """Notes what became of a step."""
        step.status, step.reason, step.detail = status, reason, detail
        step.ended_at.CopyFrom(stamp(self._now()))

    def enter(self, status: SagaStatus.ValueType) -> None:
        """Notes where the saga stands."""
        self._report.status = status

    def failed(self, reason: str, detail: str) -> None:
        """Notes why the saga failed."""
        self._report.failure_reason, self._report.failure_detail = reason, detail

    @property
    def status(self) -> SagaStatus.ValueType:
        """Where the saga stands."""
        return self._report.status

    @property
    def kept(self) -> SagaReport:
        """The report, as the next run goes on with it."""
        return self._report

    @property
    def current(self) -> str:
        """The names of the steps under way."""
        names = (name for step in self._running() for name in step.name.split(", "))
        return ", ".join(name.rpartition(".")[2] for name in names)

    def message(self, untaken: list[str]) -> SagaReport:
        """Returns the report.

        Args:
            untaken: The events that no step has taken.
        """
        message = SagaReport()
        message.CopyFrom(self._report)
        message.untaken.extend(untaken)
        running = self._running()
        if message.status == ONGOING and running and all(step.kind in _WAITS for step in running):
            message.status = WAITING
        return message

    def _running(self) -> list[SagaStep]:
        return [step for step in self._report.steps if step.status == RUNNING]
