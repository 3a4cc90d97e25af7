"""What surrounds commands and events: who sent or caused them, and what was recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, TypeAlias
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp
from intent_contracts.intent.v1 import RecordedEvent

from intent.origin import Origin
from intent.records import LogEntry

__all__ = ["CommandMetadata", "DecidedEvent", "EventMetadata", "KeysOf", "RowKey"]

RowKey: TypeAlias = tuple[Any, ...]
"""The values of a row's key fields, without the tenant."""

KeysOf: TypeAlias = Callable[[Any, "EventMetadata"], "str | RowKey | Iterable[str | RowKey]"]
"""Returns the keys of the rows that an event concerns."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


# Named tuples, because one of each is made for every command: making one takes a third of the
# time of a frozen dataclass.
class CommandMetadata(NamedTuple):
    """What a handler may know about a command besides its message.

    Attributes:
        tenant: The tenant on whose data it acts.
        command_id: The command's id.
        actor: Who sent it.
        correlation_id: The id that everything which follows from one request shares.
        received_at: When the platform received it, with time zone. Use it instead of the clock.
        causation_id: The command or event that caused it, or empty.
    """

    tenant: str
    command_id: UUID
    actor: str
    correlation_id: str
    received_at: datetime
    causation_id: str = ""

    @classmethod
    def of(cls, origin: Origin, received_at: datetime) -> CommandMetadata:
        """Return what a handler may know of a command that comes from there."""
        tenant, command_id, correlation_id, causation_id, actor, _ = origin
        return cls(tenant, command_id, actor, correlation_id, received_at, causation_id)


class DecidedEvent(NamedTuple):
    """An event that was decided and is not recorded yet.

    Attributes:
        type: The full name of the event's message.
        schema_version: The schema version of `data`.
        data: The message, as proto bytes.
    """

    type: str
    schema_version: int
    data: bytes


class EventMetadata(NamedTuple):
    """What a projection or a consumer may know about an event besides its message.

    Attributes:
        position: Position in the context's log, from 1 up.
        tenant: The tenant's id.
        aggregate_type: The aggregate's short name.
        aggregate_id: The aggregate's id.
        version: The aggregate's version after the event, from 1 up.
        event_id: The event's id.
        type: The full name of the event's message, after upcasting.
        recorded_at: When it was recorded, with time zone.
        correlation_id: The id that everything which follows from one request shares.
        causation_id: The command or event that caused the command, or empty.
        command_id: The command that recorded it.
        actor: Who sent the command.
    """

    position: int
    tenant: str
    aggregate_type: str
    aggregate_id: str
    version: int
    event_id: UUID
    type: str
    recorded_at: datetime
    correlation_id: str
    causation_id: str
    command_id: UUID
    actor: str

    @classmethod
    def of_entry(cls, entry: LogEntry, type_: str) -> EventMetadata:
        """Return what is known of an event of the log.

        Args:
            entry: The event.
            type_: The full name of its message, after upcasting.
        """
        return cls(
            entry.position,
            entry.tenant,
            entry.aggregate_type,
            entry.aggregate_id,
            entry.version,
            entry.event_id,
            type_,
            entry.recorded_at,
            entry.correlation_id,
            entry.causation_id,
            entry.command_id,
            entry.actor,
        )

    @classmethod
    def of_event(cls, event: RecordedEvent) -> EventMetadata:
        """Return what is known of an event in its envelope."""
        return cls(
            position=event.position,
            tenant=event.tenant_id,
            aggregate_type=event.aggregate_type,
            aggregate_id=event.aggregate_id,
            version=event.version,
            event_id=UUID(event.event_id),
            type=event.type,
            recorded_at=event.recorded_at.ToDatetime(UTC),
            correlation_id=event.correlation_id,
            causation_id=event.causation_id,
            command_id=UUID(event.command_id),
            actor=event.actor,
        )

    def stamp(self, field: Timestamp) -> None:
        """Set a timestamp field to the time at which the event was recorded."""
        since = self.recorded_at - _EPOCH
        field.seconds = since.days * 86_400 + since.seconds
        field.nanos = since.microseconds * 1_000
