"""The public envelopes, made in one place: those of commands, and those of log entries.

A log holds events of every schema version that was ever written; an envelope shows an event at the
version that its contract has now. What happens when that cannot be depends on whom it is for:

- a saga gets its event as `current_event` makes it, a retired event as the one that replaced it. An
  event that this release does not know is an error: the delivery is repeated, and a process of the
  release that wrote the event makes it;
- a consumer or a subscriber gets it as `published_event` makes it. It asked for events by the type
  with which they were recorded, so that type is never changed; and what this release cannot upcast
  comes as it was written, since whoever asked may know more. ``schema_version`` says which it is.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, Protocol

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from intent_contracts.intent.v1 import CommandEnvelope, RecordedEvent, RequiredOwner

from intent.contracts import Owner
from intent.errors import StoreError
from intent.origin import Origin
from intent.records import LogEntry

__all__ = [
    "EventSource",
    "Upcasting",
    "command_envelope",
    "command_type",
    "current_event",
    "published_event",
    "required_owner_of",
    "timestamp",
]

_OWNED: Final = "#owned"
"""Ends the type of a command that has an owner: a release that cannot compare owners knows no such type,
and leaves the command to one that can, instead of deciding it for anybody."""


class Upcasting(Protocol):
    """How events of older schema versions are read; `intent.model.Upcasters` does it."""

    def target(self, type: str, version: int) -> tuple[str, int] | None:  # noqa: A002
        """Return the type and the version that a schema version is read as; None when it is unknown."""
        ...

    def event(self, type: str, version: int, data: bytes) -> tuple[str, Message]:  # noqa: A002
        """Return the type and the message that an event is read as.

        Raises:
            NewerReleaseNeeded: The schema version is unknown.
            StoreError: The bytes do not encode such a message.
        """
        ...


class EventSource(Protocol):
    """The context whose log it is; `intent.model.BoundContext` is one."""

    @property
    def name(self) -> str:
        """The context's name, e.g. ``orders``."""
        ...

    @property
    def upcasters(self) -> Upcasting:
        """How it reads its older events."""
        ...


def command_envelope(
    origin: Origin,
    type_: str,
    data: bytes,
    *,
    expected_version: int | None = None,
    received_at: Timestamp | None = None,
    owner: Owner | None = None,
) -> CommandEnvelope:
    """Return a command in its envelope.

    Args:
        origin: Where it comes from.
        type_: The full name of its message.
        data: The message, as proto bytes.
        expected_version: The version that the aggregate must have, or None.
        received_at: When the platform received it; None on the way there.
        owner: Whose its aggregate must be; None: anybody's.
    """
    return CommandEnvelope(
        tenant_id=origin.tenant,
        command_id=str(origin.command_id),
        type=type_ + _OWNED if owner else type_,
        data=data,
        correlation_id=origin.correlation_id,
        causation_id=origin.causation_id,
        actor=origin.actor,
        expected_version=expected_version,
        traceparent=origin.trace.parent,
        tracestate=origin.trace.state,
        received_at=received_at,
        owner=RequiredOwner(subject=owner.subject, state_fields=owner.fields) if owner else None,
    )


def command_type(envelope: CommandEnvelope) -> str:
    """Return the full name of the message of a command."""
    return envelope.type.removesuffix(_OWNED)


def required_owner_of(envelope: CommandEnvelope) -> Owner | None:
    """Return whose the aggregate of a command must be; None: anybody's.

    An owner without subject or fields owns nothing: neither does one that was lost on the way.
    """
    if not envelope.HasField("owner") and not envelope.type.endswith(_OWNED):
        return None
    return Owner(envelope.owner.subject, tuple(envelope.owner.state_fields))


def current_event(context: EventSource, entry: LogEntry) -> RecordedEvent:
    """Return an event as its contract is now, a retired one as the one that replaced it.

    Raises:
        NewerReleaseNeeded: This release does not know the schema version.
        StoreError: What is stored cannot be read.
    """
    event = _as_written(context.name, entry)
    target = context.upcasters.target(entry.type, entry.schema_version)
    if target != (entry.type, entry.schema_version):
        _, message = context.upcasters.event(entry.type, entry.schema_version, entry.data)
        assert target is not None
        event.type, event.schema_version = target
        event.data = message.SerializeToString(deterministic=True)
    return event


def published_event(context: EventSource, entry: LogEntry) -> RecordedEvent:
    """Return an event for other programs: at the current version of its type, or else as written."""
    target = context.upcasters.target(entry.type, entry.schema_version)
    if target is None or target[0] != entry.type:
        return _as_written(context.name, entry)
    try:
        return current_event(context, entry)
    except StoreError:
        return _as_written(context.name, entry)


def _as_written(context: str, entry: LogEntry) -> RecordedEvent:
    return RecordedEvent(
        position=entry.position,
        context=context,
        tenant_id=entry.tenant,
        aggregate_type=entry.aggregate_type,
        aggregate_id=entry.aggregate_id,
        version=entry.version,
        event_id=str(entry.event_id),
        type=entry.type,
        schema_version=entry.schema_version,
        data=entry.data,
        command_id=str(entry.command_id),
        correlation_id=entry.correlation_id,
        causation_id=entry.causation_id,
        actor=entry.actor,
        recorded_at=timestamp(entry.recorded_at),
        traceparent=entry.traceparent,
        tracestate=entry.tracestate,
    )


def timestamp(moment: datetime) -> Timestamp:
    """Return a time as a message."""
    message = Timestamp()
    message.FromDatetime(moment)
    return message
