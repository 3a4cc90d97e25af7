"""Reports the progress of a saga to operators."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

from intent_contracts.intent.v1 import (
    SagaReport,
    SagaStatus,
    SagaStep,
    SagaStepKind,
    SagaStepStatus,
)

from intent.envelopes import timestamp
from intent.sagas.journal import DELAYED, PARKED, RUNNING

__all__ = [
    "COMPENSATED",
    "COMPENSATING",
    "COMPLETED",
    "HELD_UP",
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

HELD_UP = {STUCK, SagaStatus.SAGA_STATUS_DELAYED}
"""The statuses of a saga that something unavailable, a defect or an operator holds up."""

_SHOWN_AT_ENDS: Final = 200
"""How many of the first and of the last steps are shown."""
_UNDER_WAY = {RUNNING, DELAYED, PARKED}
_WAITS = {SagaStepKind.SAGA_STEP_KIND_EVENT, SagaStepKind.SAGA_STEP_KIND_SLEEP}


class Report:
    """Keeps a saga's report.

    Args:
        report: The report so far, from an earlier run.
        now: Returns the time.
    """

    def __init__(self, report: SagaReport, now: Callable[[], datetime]) -> None:
        self._report = report
        self._now = now
        self._steps = {step.path: step for step in report.steps}

    def begin(
        self,
        path: str,
        kind: SagaStepKind.ValueType,
        name: str,
        *,
        compensates: str = "",
        settled: bool = False,
    ) -> SagaStep:
        """Record the start of a step; return the line of an earlier run unchanged.

        Of a step that an earlier run settled, the line may have been left out since; it stays out.
        """
        known = self._steps.get(path)
        if known is not None:
            return known
        if settled:
            return SagaStep(path=path, kind=kind, name=name, ended_at=timestamp(self._now()))
        step = self._report.steps.add(
            path=path,
            kind=kind,
            name=name,
            status=RUNNING,
            started_at=timestamp(self._now()),
            compensates=compensates,
            attempts=1,
        )
        self._steps[path] = step
        return step

    def end(
        self, step: SagaStep, status: SagaStepStatus.ValueType, reason: str = "", detail: str = ""
    ) -> None:
        """Record the outcome of a step."""
        step.status, step.reason, step.detail = status, reason, detail
        step.ended_at.CopyFrom(timestamp(self._now()))
        self._shorten()

    def _shorten(self) -> None:
        """Leave out steps in the middle that are over, once there are many."""
        steps, index = self._report.steps, _SHOWN_AT_ENDS
        while len(steps) > 2 * _SHOWN_AT_ENDS and index <= len(steps) - _SHOWN_AT_ENDS:
            if not steps[index].HasField("ended_at"):
                index += 1
                continue
            del self._steps[steps[index].path]
            del steps[index]
            self._report.omitted += 1

    def warn(self, warning: str) -> None:
        """Record what an operator should know."""
        self._report.warning = warning

    def enter(self, status: SagaStatus.ValueType) -> None:
        """Record where the saga has got to."""
        self._report.status = status

    def failed(self, reason: str, detail: str) -> None:
        """Record why the saga failed."""
        self._report.failure_reason, self._report.failure_detail = reason, detail

    @property
    def status(self) -> SagaStatus.ValueType:
        """The status of the saga: that of the step that is the worst off, else where the saga has got to."""
        statuses = {step.status for step in self._report.steps}
        if PARKED in statuses:
            return STUCK
        return SagaStatus.SAGA_STATUS_DELAYED if DELAYED in statuses else self._report.status

    @property
    def kept(self) -> SagaReport:
        """The report with which the next run continues."""
        return self._report

    @property
    def current(self) -> str:
        """The names of the steps under way."""
        under_way = [step for step in self._report.steps if step.status in _UNDER_WAY]
        names = (name for step in under_way for name in step.name.split(", "))
        return ", ".join(name.rpartition(".")[2] for name in names)

    def message(self, untaken: list[str]) -> SagaReport:
        """Return the report.

        Args:
            untaken: The events that no step has taken.
        """
        message = SagaReport()
        message.CopyFrom(self._report)
        message.untaken.extend(untaken[:_SHOWN_AT_ENDS])
        message.status = self.status
        running = self._running()
        if message.status == ONGOING and running and all(step.kind in _WAITS for step in running):
            message.status = WAITING
        return message

    def _running(self) -> list[SagaStep]:
        return [step for step in self._report.steps if step.status == RUNNING]
