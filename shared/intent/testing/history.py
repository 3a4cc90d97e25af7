"""What happened before a test begins, as the log would hold it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from uuid import UUID

from google.protobuf.message import Message

from intent.contracts import Registry
from intent.records import StoredEvent

__all__ = ["COMMAND_ID", "RECEIVED_AT", "Stored", "installed", "stored", "stored_events"]

COMMAND_ID = UUID("00000000-0000-4000-8000-000000000001")
"""The id of every command of a test."""
RECEIVED_AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
"""The time of a test, unless it says otherwise."""


@dataclass(frozen=True, slots=True)
class Stored:
    """An event as an older release stored it; see `stored`."""

    event: Message
    version: int


def stored(event: Message, *, version: int) -> Stored:
    """Return an event of an older schema version, to test upcasters with."""
    return Stored(event, version)


@cache
def installed() -> Registry:
    """Return all installed contracts."""
    return Registry.load()


def stored_events(registry: Registry, events: Iterable[Message | Stored]) -> list[StoredEvent]:
    """Return events as the log of one aggregate holds them.

    Raises:
        UnknownType: A message is no event.
    """
    return [_stored_event(registry, version, event) for version, event in enumerate(events, start=1)]


def _stored_event(registry: Registry, version: int, event: Message | Stored) -> StoredEvent:
    message = event.event if isinstance(event, Stored) else event
    type_ = message.DESCRIPTOR.full_name
    schema = event.version if isinstance(event, Stored) else registry.event(type_).version
    return StoredEvent(version, type_, schema, message.SerializeToString())
