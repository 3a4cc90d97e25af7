"""The outcomes of a saga's steps, so that the next run need not repeat them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp
from intent_contracts.intent.v1 import (
    Failure,
    FailureKind,
    JournalEntry,
    SagaReport,
    SagaStatus,
    SagaStepStatus,
)

__all__ = [
    "DELAYED",
    "DONE",
    "INTERRUPTED",
    "PARKED",
    "REJECTED",
    "RUNNING",
    "SKIPPED",
    "TIMED_OUT",
    "Journal",
    "may_have_effect",
    "settle_child",
    "stamp",
]

RUNNING = SagaStepStatus.SAGA_STEP_STATUS_RUNNING
DONE = SagaStepStatus.SAGA_STEP_STATUS_DONE
REJECTED = SagaStepStatus.SAGA_STEP_STATUS_REJECTED
TIMED_OUT = SagaStepStatus.SAGA_STEP_STATUS_TIMED_OUT
INTERRUPTED = SagaStepStatus.SAGA_STEP_STATUS_INTERRUPTED
PARKED = SagaStepStatus.SAGA_STEP_STATUS_PARKED
DELAYED = SagaStepStatus.SAGA_STEP_STATUS_DELAYED
SKIPPED = SagaStepStatus.SAGA_STEP_STATUS_SKIPPED


class Journal:
    """Entries by the path of their step.

    Temporal's history is the journal of one run; this one outlives it: a saga with many steps
    continues in a new run of its workflow, where the code runs again and gets its outcomes from here.
    """

    def __init__(self, entries: Iterable[JournalEntry] = ()) -> None:
        self._entries = {entry.path: entry for entry in entries}

    @property
    def entries(self) -> list[JournalEntry]:
        """All entries, in the order in which they were added."""
        return list(self._entries.values())

    @property
    def taken(self) -> set[int]:
        """The numbers of the events that steps have taken."""
        return {entry.event for entry in self._entries.values() if entry.event}

    def entry(self, path: str) -> JournalEntry:
        """Return the entry of a step, a new one when there is none yet."""
        return self._entries.setdefault(path, JournalEntry(path=path))

    def settled(self, path: str) -> JournalEntry | None:
        """Return the entry of a step that is over, else None."""
        entry = self._entries.get(path)
        return entry if entry is not None and entry.status not in (0, RUNNING) else None

    def deadline(self, path: str, fresh: datetime | None) -> datetime | None:
        """Return until when a step may wait: as an earlier run recorded, else as given."""
        entry = self.entry(path)
        if entry.HasField("deadline"):
            return entry.deadline.ToDatetime(tzinfo=UTC)
        if fresh is not None:
            entry.status = RUNNING
            entry.deadline.CopyFrom(stamp(fresh))
        return fresh


def stamp(moment: datetime) -> Timestamp:
    """Return a time as a message."""
    timestamp = Timestamp()
    timestamp.FromDatetime(moment)
    return timestamp


def may_have_effect(entry: JournalEntry) -> bool:
    """Return whether a command has had an effect, or is not known to have had none."""
    unknown = entry.outcome.failure.kind == FailureKind.FAILURE_KIND_UNAVAILABLE
    return unknown or entry.outcome.HasField("result")


def settle_child(entry: JournalEntry, report: SagaReport) -> None:
    """Record the outcome of a child saga."""
    entry.status = DONE if report.status == SagaStatus.SAGA_STATUS_COMPLETED else REJECTED
    if entry.status == REJECTED:
        failure = Failure(reason=report.failure_reason, message=report.failure_detail)
        entry.outcome.failure.CopyFrom(failure)
