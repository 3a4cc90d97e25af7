"""Folds events into rows, in memory: one engine for live updates, catching up and rebuilds."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

from google.protobuf.message import Message

from intent.model import DELETE, EventMetadata, Projection, ProjectionHandler
from intent.model.metadata import RowKey
from intent.read_models.shape import TableShape
from intent.records import LogEntry

__all__ = [
    "Changes",
    "Decode",
    "Enter",
    "EventFailure",
    "Folded",
    "Folder",
    "Plan",
    "RowId",
    "StoredRow",
    "Upsert",
]

Row = TypeVar("Row", bound=Message)

Decode: TypeAlias = Callable[[str, int, bytes], tuple[str, Message]]
"""Parses an event of any schema version: (type, schema version, data) to (current type, message)."""

Enter: TypeAlias = Callable[[int], None]
"""Takes the position of an event whose code is about to run."""


class RowId(NamedTuple):
    """Names a row.

    Attributes:
        tenant: The tenant's id.
        key: The values of the key's columns.
    """

    tenant: str
    key: tuple[Any, ...]


class StoredRow(NamedTuple):
    """A row as the table holds it.

    Attributes:
        data: The row's message, as proto bytes.
        created_position: The position of the event that created it.
    """

    data: bytes
    created_position: int


class Upsert(NamedTuple):
    """A row to write.

    Attributes:
        id: Which row.
        indexed: The values of the indexed columns.
        data: The row's message, as proto bytes.
        created_position: The position of the event that created it.
        updated_position: The position of the event that changed it last.
    """

    id: RowId
    indexed: Sequence[Any]
    data: bytes
    created_position: int
    updated_position: int


@dataclass(frozen=True, slots=True)
class Changes:
    """What a page of events does to a table.

    Attributes:
        upserts: The rows to write.
        deletes: The rows to remove.
    """

    upserts: Sequence[Upsert]
    deletes: Sequence[RowId]


@dataclass(frozen=True, slots=True)
class EventFailure:
    """An event that a projection cannot handle.

    Attributes:
        position: The event's position.
        error: What was raised.
    """

    position: int
    error: Exception


@dataclass(slots=True)
class _Step:
    entry: LogEntry
    rows: Sequence[RowId]
    handler: ProjectionHandler
    event: Message | None

    @property
    def position(self) -> int:
        return self.entry.position


@dataclass(frozen=True, slots=True)
class Plan:
    """A page of events, decoded, with the rows that it needs.

    Attributes:
        steps: The events that concern the projection.
        rows: The rows that they concern, each once, with the values of their key fields.
        start: The position before the page.
        end: The position up to which it reaches: the last of the page, or the one before a failure.
        failure: The first event that cannot be decoded, or None.
    """

    steps: Sequence[_Step]
    rows: Mapping[RowId, RowKey]
    start: int
    end: int
    failure: EventFailure | None

    def until(self, failure: EventFailure) -> Plan:
        """Return the plan for the events before one that fails, or this one if it ends before."""
        if failure.position > self.end:
            return self if self.failure is not None else replace(self, failure=failure)
        steps = [step for step in self.steps if step.position < failure.position]
        return Plan(steps, self.rows, self.start, failure.position - 1, failure)


@dataclass(frozen=True, slots=True)
class Folded:
    """The outcome of a plan.

    Attributes:
        changes: What to write.
        position: The position up to which the changes contain the events.
        failure: The event after that position, if it failed; else None.
        events: How many events were applied.
    """

    changes: Changes
    position: int
    failure: EventFailure | None
    events: int


@dataclass(slots=True)
class _Slot(Generic[Row]):
    row: Row | None
    created: int
    stored: bool
    updated: int = 0


@dataclass(slots=True)
class Folder:
    """Folds the events of the log into the rows of one projection.

    Attributes:
        projection: The projection.
        shape: The table of its read model.
        decode: Parses the events.
    """

    projection: Projection[Any]
    shape: TableShape
    decode: Decode
    _handlers: dict[tuple[str, int], ProjectionHandler | None] = field(default_factory=dict)

    def plan(
        self,
        start: int,
        entries: Sequence[LogEntry],
        skipped: Container[int] = (),
        enter: Enter = lambda _: None,
    ) -> Plan:
        """Decode a page, and find the rows that it needs.

        Args:
            start: The position before the page.
            entries: The page, in order, without gaps.
            skipped: Positions to skip.
            enter: Called with the position of each event before the author's code for it.
        """
        steps: list[_Step] = []
        rows: dict[RowId, RowKey] = {}
        end = start
        failure = None
        for entry in entries:
            if entry.position not in skipped:
                try:
                    step = self._step(entry, rows, enter)
                except Exception as error:
                    failure = EventFailure(entry.position, error)
                    break
                if step is not None:
                    steps.append(step)
            end = entry.position
        return Plan(steps, rows, start, end, failure)

    def fold(self, plan: Plan, stored: Mapping[RowId, StoredRow], enter: Enter = lambda _: None) -> Folded:
        """Apply a plan to the stored rows; it ends before the first event that fails.

        Args:
            plan: The plan.
            stored: The rows that it needs, as far as they exist.
            enter: Called with the position of each event before the author's code for it.
        """
        slots: dict[RowId, _Slot[Any]] = {}
        for step in plan.steps:
            enter(step.position)
            try:
                self._apply(step, plan.rows, slots, stored)
            except Exception as error:
                # The failed handler may have left its row half changed: fold again, up to that event.
                return self.fold(plan.until(EventFailure(step.position, error)), stored, enter)
        return Folded(self._changes(slots), plan.end, plan.failure, len(plan.steps))

    def _step(self, entry: LogEntry, rows: dict[RowId, RowKey], enter: Enter) -> _Step | None:
        kind = (entry.type, entry.schema_version)
        handler = self._handlers.get(kind, _UNSEEN)
        if handler is None:
            return None
        enter(entry.position)
        type_, event = self.decode(entry.type, entry.schema_version, entry.data)
        if handler is _UNSEEN:
            handler = self._handlers[kind] = self.projection.handlers.get(type_)
            if handler is None:
                return None
        if handler.keys is None:
            return _Step(entry, (self._row(entry.tenant, (entry.aggregate_id,), rows),), handler, event)
        keys = _keys(handler.keys(event, EventMetadata.of_entry(entry, type_)))
        return _Step(entry, [self._row(entry.tenant, key, rows) for key in keys], handler, None)

    def _row(self, tenant: str, key: RowKey, rows: dict[RowId, RowKey]) -> RowId:
        """Return the row with a key, and note that the page needs it."""
        id_ = RowId(tenant, self.shape.key_values(key))
        rows.setdefault(id_, key)
        return id_

    def _apply(
        self,
        step: _Step,
        keys: Mapping[RowId, RowKey],
        slots: dict[RowId, _Slot[Any]],
        stored: Mapping[RowId, StoredRow],
    ) -> None:
        for id_ in step.rows:
            slot = slots.get(id_)
            if slot is None:
                slot = slots[id_] = self._slot(stored.get(id_))
            if slot.row is None:
                slot.row = self._new_row(keys[id_])
                slot.created = step.position
            if step.handler.method(self.projection, slot.row, *self._arguments(step)) is DELETE:
                slot.row = None
            slot.updated = step.position

    def _arguments(self, step: _Step) -> tuple[Any, ...]:
        """Return what a handler takes besides the row; an event of its own, which it may change."""
        entry, event = step.entry, step.event
        step.event = None
        type_ = step.handler.event.DESCRIPTOR.full_name
        if event is None:
            type_, event = self.decode(entry.type, entry.schema_version, entry.data)
        if not step.handler.takes_metadata:
            return (event,)
        return event, EventMetadata.of_entry(entry, type_)

    def _slot(self, stored: StoredRow | None) -> _Slot[Any]:
        if stored is None:
            return _Slot(None, 0, stored=False)
        return _Slot(self.shape.model.FromString(stored.data), stored.created_position, stored=True)

    def _new_row(self, key: RowKey) -> Message:
        row = self.shape.model()
        for column, value in zip(self.shape.key, key, strict=True):
            setattr(row, column.name, value)
        return row

    def _changes(self, slots: Mapping[RowId, _Slot[Any]]) -> Changes:
        indexed_values = self.shape.indexed_values
        upserts = [
            Upsert(id_, indexed_values(slot.row), slot.row.SerializeToString(), slot.created, slot.updated)
            for id_, slot in slots.items()
            if slot.row is not None
        ]
        deletes = [id_ for id_, slot in slots.items() if slot.row is None and slot.stored]
        return Changes(upserts, deletes)


_UNSEEN: Any = object()


def _keys(keys: str | RowKey | Iterable[str | RowKey]) -> Iterable[RowKey]:
    if isinstance(keys, str):
        return ((keys,),)
    if isinstance(keys, tuple):
        return (keys,)
    return [(key,) if isinstance(key, str) else key for key in keys]
