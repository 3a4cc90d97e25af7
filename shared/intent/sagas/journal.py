"""The outcomes of a saga's steps, so that the next run need not repeat them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp
from intent_contracts.intent.v1 import JournalEntry, SagaStepStatus

__all__ = ["DONE", "INTERRUPTED", "PARKED", "REJECTED", "RUNNING", "SKIPPED", "TIMED_OUT", "Journal", "stamp"]

RUNNING = SagaStepStatus.SAGA_STEP_STATUS_RUNNING
DONE = SagaStepStatus.SAGA_STEP_STATUS_DONE
REJECTED = SagaStepStatus.SAGA_STEP_STATUS_REJECTED
TIMED_OUT = SagaStepStatus.SAGA_STEP_STATUS_TIMED_OUT
INTERRUPTED = SagaStepStatus.SAGA_STEP_STATUS_INTERRUPTED
PARKED = SagaStepStatus.SAGA_STEP_STATUS_PARKED
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
