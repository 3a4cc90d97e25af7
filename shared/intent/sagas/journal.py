"""The outcomes of a saga's steps, so that the next run need not repeat them."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from intent_contracts.intent.v1 import (
    Failure,
    FailureKind,
    JournalEntry,
    RecordedEvent,
    SagaInput,
    SagaReport,
    SagaStatus,
    SagaStepStatus,
)

from intent.envelopes import timestamp

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
    "packed",
    "settle_child",
    "unpacked",
]

_PLAIN: Final = 512 * 1024
"""Bytes up to which the input of a run has a form that earlier releases read as well."""
_LEVEL: Final = 3

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
            entry.deadline.CopyFrom(timestamp(fresh))
        return fresh


def packed(saga_input: SagaInput) -> SagaInput:
    """Return the input of a new run in a form that is small, if it is large.

    The code runs again and gets what its steps returned before, so the data of their events stays. All
    else that is known of an event, which is more, goes; only that of the first one is used again.

    A process of an earlier release, which knows nothing of this form, fails on it and leaves the saga to
    others: it misses the event that the journal names.
    """
    if saga_input.ByteSize() <= _PLAIN:
        return saga_input
    start = next((entry.event for entry in saga_input.journal if entry.path == "start"), 0)
    small = SagaInput()
    small.CopyFrom(saga_input)
    if start or saga_input.HasField("child"):
        for number, event in enumerate(small.events, 1):
            if number != start:
                kept = RecordedEvent(event_id=event.event_id, type=event.type, data=event.data)
                event.CopyFrom(kept)
    contents = small.SerializeToString(deterministic=True)
    missing = JournalEntry(path="start", event=max(1, start))
    return SagaInput(packed=zlib.compress(contents, _LEVEL), journal=[missing])


def unpacked(saga_input: SagaInput) -> SagaInput:
    """Return the input of a run in its plain form."""
    if not saga_input.packed:
        return saga_input
    return SagaInput.FromString(zlib.decompress(saga_input.packed))


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
