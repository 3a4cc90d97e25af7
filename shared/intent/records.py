"""What the log holds, as plain values that every layer may use."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

__all__ = ["CommandKey", "LogEntry", "Snapshot", "StoredEvent", "StreamKey"]


class StreamKey(NamedTuple):
    """Names one aggregate of one tenant, whose events form one stream.

    Attributes:
        tenant: The tenant's id.
        aggregate_type: The aggregate's short name, e.g. ``Order``.
        aggregate_id: The aggregate's id.
    """

    tenant: str
    aggregate_type: str
    aggregate_id: str

    def __str__(self) -> str:
        return f"{self.aggregate_type}/{self.aggregate_id} of tenant {self.tenant}"


class CommandKey(NamedTuple):
    """Names one command of one tenant.

    Attributes:
        tenant: The tenant's id.
        command_id: The command's id.
    """

    tenant: str
    command_id: UUID


class StoredEvent(NamedTuple):
    """One event of a stream, as much of it as rebuilding the aggregate needs.

    A tuple, since many thousands a second are made.

    Attributes:
        version: The aggregate's version after the event, from 1 up.
        type: The full name of the event's message.
        schema_version: The schema version that it was written with.
        data: The message, as proto bytes of that schema version.
    """

    version: int
    type: str
    schema_version: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An aggregate's state at a version.

    Attributes:
        version: The aggregate's version.
        state_version: The version of the state's schema.
        state: The state's message, as proto bytes of that schema version.
    """

    version: int
    state_version: int
    state: bytes


class LogEntry(NamedTuple):
    """One event as the log holds it.

    A tuple, since many thousands a second are made.

    Attributes:
        position: Position in the context's log: gapless, from 1 up, in commit order.
        tenant: The tenant's id.
        aggregate_type: The aggregate's short name.
        aggregate_id: The aggregate's id.
        version: The aggregate's version after the event, from 1 up.
        event_id: The event's id.
        type: The full name of the event's message.
        schema_version: The schema version that it was written with.
        data: The message, as proto bytes of that schema version.
        command_id: The command that recorded it.
        correlation_id: The id that everything which follows from one request shares.
        causation_id: The command or event that caused the command; empty at the start.
        actor: Who sent the command.
        traceparent: The trace that it belongs to, as a W3C traceparent, or empty.
        recorded_at: When it was recorded, with time zone.
        tracestate: What belongs to that trace, as a W3C tracestate, or empty.
    """

    position: int
    tenant: str
    aggregate_type: str
    aggregate_id: str
    version: int
    event_id: UUID
    type: str
    schema_version: int
    data: bytes
    command_id: UUID
    correlation_id: str
    causation_id: str
    actor: str
    traceparent: str
    recorded_at: datetime
    tracestate: str = ""
