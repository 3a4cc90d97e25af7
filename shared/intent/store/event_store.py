"""The protocol of the event store: what the platform asks of any store.

PostgreSQL and memory implement it, and one contract suite (``tests/store``) runs against both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeAlias
from uuid import UUID

from intent.origin import Origin
from intent.records import CommandKey, LogEntry, Snapshot, StoredEvent, StreamKey
from intent.store.epochs import LogEpochs

__all__ = [
    "STREAM_PAGE",
    "AppendResult",
    "Appended",
    "CommandWrite",
    "Conflict",
    "EventStore",
    "EventWrite",
    "Loaded",
    "LoadedStream",
    "LogFilter",
    "StoredCommand",
    "StreamAppend",
    "StreamOutcome",
    "page_bytes",
]


STREAM_PAGE: Final = 500
"""The most events of one stream that `EventStore.load` returns."""

_PAGE_BYTES: Final = 4 * 1024 * 1024
_LOAD_BYTES: Final = 32 * 1024 * 1024
_LEAST_BYTES: Final = 256 * 1024


def page_bytes(streams: int) -> int:
    """Return after how many bytes no further event of a stream is loaded, when so many are loaded at once."""
    return min(_PAGE_BYTES, max(_LEAST_BYTES, _LOAD_BYTES // max(1, streams)))


@dataclass(frozen=True, slots=True)
class EventWrite:
    """One event to append.

    Attributes:
        event_id: The event's id.
        type: The full name of the event's message.
        schema_version: The schema version of `data`.
        data: The message, as proto bytes.
    """

    event_id: UUID
    type: str
    schema_version: int
    data: bytes


@dataclass(frozen=True, slots=True)
class CommandWrite:
    """One command's effect: its events and its outcome, written together.

    Attributes:
        origin: Where the command comes from. Its tenant is the stream's; with the tenant, its id is
            written at most once.
        fingerprint: A digest of the command, which distinguishes a repeat from a reused id.
        outcome: The `CommandOutcome`, as proto bytes, without positions.
        events: The events, in order; empty for a rejection.
        workflow_id: The workflow that carried it, or empty.
    """

    origin: Origin
    fingerprint: bytes
    outcome: bytes
    events: Sequence[EventWrite]
    workflow_id: str = ""


@dataclass(frozen=True, slots=True)
class StreamAppend:
    """The commands of one stream, appended together or not at all.

    Attributes:
        key: The stream.
        expected_version: The stream's version on which the decisions rest; 0: it must not
            exist. It is checked even when no command has events.
        commands: The commands, in the order in which they were decided.
        snapshot: A snapshot to store with them, or None.
        epoch: The epoch of the log on which the decisions rest; empty: any.
    """

    key: StreamKey
    expected_version: int
    commands: Sequence[CommandWrite]
    snapshot: Snapshot | None = None
    epoch: str = ""


@dataclass(frozen=True, slots=True)
class StoredCommand:
    """A command as the store keeps it.

    Attributes:
        command_id: The command's id.
        fingerprint: The digest that it was written with.
        outcome: The `CommandOutcome`, as proto bytes, without positions.
        position: The position of its last event, or that of the log at the time when it has none.
        workflow_id: The workflow that carried it, or empty.
    """

    command_id: UUID
    fingerprint: bytes
    outcome: bytes
    position: int
    workflow_id: str = ""


@dataclass(frozen=True, slots=True)
class Appended:
    """The stream's commands were written.

    Attributes:
        positions: For each command the position of its last event (its events are contiguous), or that
            of the log at the time when it has none.
    """

    positions: Sequence[int]


@dataclass(frozen=True, slots=True)
class Conflict:
    """Nothing of the stream was written; load it again and decide again.

    Attributes:
        version: The stream's version as the store knows it.
        duplicates: Those of its commands that were written before, by id.
    """

    version: int
    duplicates: Mapping[UUID, StoredCommand] = field(default_factory=dict)


StreamOutcome: TypeAlias = Appended | Conflict


@dataclass(frozen=True, slots=True)
class AppendResult:
    """The outcome of an append.

    Attributes:
        outcomes: One per stream, in the order given.
        position: The position of the log after it.
    """

    outcomes: Sequence[StreamOutcome]
    position: int


@dataclass(frozen=True, slots=True)
class LoadedStream:
    """The part of a stream that is needed to rebuild its aggregate.

    Attributes:
        version: Its version; 0 when it does not exist.
        snapshot: The newest snapshot, or None.
        events: The events after the snapshot, by version; of a long stream only the first.
    """

    version: int
    snapshot: Snapshot | None
    events: Sequence[StoredEvent]

    @property
    def complete(self) -> bool:
        """True when the events lead up to its version."""
        known = self.snapshot.version if self.snapshot is not None else 0
        return self.version == (self.events[-1].version if self.events else known)


@dataclass(frozen=True, slots=True)
class Loaded:
    """The answer of `EventStore.load`.

    Attributes:
        streams: The streams that were asked for.
        commands: Those of the commands asked for that were written before.
    """

    streams: Mapping[StreamKey, LoadedStream]
    commands: Mapping[CommandKey, StoredCommand]


@dataclass(frozen=True, slots=True)
class LogFilter:
    """A filter for reading the log; what is None or empty does not narrow.

    Attributes:
        tenant: Only this tenant.
        types: Only these event types, by full name.
        aggregate_type: Only this kind of aggregate.
        aggregate_id: Only this aggregate.
        correlation_id: Only this correlation.
    """

    tenant: str | None = None
    types: Sequence[str] = ()
    aggregate_type: str | None = None
    aggregate_id: str | None = None
    correlation_id: str | None = None

    def passes(self, entry: LogEntry) -> bool:
        """Return whether an entry passes the filter."""
        return (
            (self.tenant is None or entry.tenant == self.tenant)
            and (not self.types or entry.type in self.types)
            and (not self.aggregate_type or entry.aggregate_type == self.aggregate_type)
            and (not self.aggregate_id or entry.aggregate_id == self.aggregate_id)
            and (not self.correlation_id or entry.correlation_id == self.correlation_id)
        )


class EventStore(Protocol):
    """The log of one context.

    Every method raises `StoreUnavailable` when the store is unavailable; the caller may repeat the call.

    Attributes:
        epochs: The epochs of the log. `read_log` and `read_stream` read in the epoch that is current when
            they are called, or raise `StoreUnavailable`.
    """

    epochs: LogEpochs

    async def append(self, streams: Sequence[StreamAppend]) -> AppendResult:
        """Write a batch in one transaction; each stream succeeds or conflicts on its own.

        No stream, and no command id of a tenant, may occur twice in a batch. Streams of several tenants
        may be mixed.

        Raises:
            InvalidCommand: A text cannot be kept, because it has a NUL character or is not valid Unicode.
                Nothing was written. The other methods refuse such text too.
            StoreUnavailable: Also when the epoch on which the decisions rest is over.
        """
        ...

    async def load(self, streams: Sequence[StreamKey], commands: Sequence[CommandKey]) -> Loaded:
        """Read streams and the outcomes of commands, in one round trip.

        Each stream has its newest snapshot, if any, and the events after it: `STREAM_PAGE` at most, and
        no more once they have `page_bytes`. `read_stream` reads the others, or the stream without a
        snapshot that cannot be used.
        """
        ...

    async def keep_snapshot(self, key: StreamKey, snapshot: Snapshot, epoch: str = "") -> None:
        """Keep a snapshot that reading has led to, unless there is one of a later state or version.

        Raises:
            StoreUnavailable: Also when the epoch in which the stream was read is over; empty: any.
        """
        ...

    async def read_log(
        self,
        after: int,
        limit: int,
        where: LogFilter | None = None,
        *,
        most_bytes: int | None = None,
        last: int | None = None,
    ) -> Sequence[LogEntry]:
        """Read entries with a position above `after`, by position.

        Args:
            after: The position.
            limit: The most entries.
            where: Which entries.
            most_bytes: The number of bytes with which the page ends: the entry with which its events
                reach it is the last, so that there is one at least; None: any number.
            last: The last position that is looked at, so that a filter which little passes has a bound;
                None: the end of the log. A filter by correlation needs none.
        """
        ...

    async def read_positions(self, positions: Sequence[int]) -> Sequence[LogEntry]:
        """Read the entries at these positions, by position."""
        ...

    async def read_stream(
        self,
        key: StreamKey,
        after_version: int = 0,
        limit: int = 1000,
        *,
        most_bytes: int | None = None,
    ) -> Sequence[LogEntry]:
        """Read at most `limit` entries of one stream above a version, by version.

        A page ends with a number of bytes as one of `read_log` does.
        """
        ...

    async def command(self, key: CommandKey) -> StoredCommand | None:
        """Return a command as it was stored, or None when it was never written."""
        ...

    async def position(self) -> int:
        """Return the position of the log's last entry; 0 when it is empty."""
        ...

    async def wait_beyond(self, position: int, timeout: float) -> int:
        """Wait until the log may be beyond a position, at most `timeout` seconds.

        Returns:
            The last known position, which may still be `position` when time ran out.
        """
        ...
