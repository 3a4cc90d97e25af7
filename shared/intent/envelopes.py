"""Log entries as the public envelopes of their events."""

from __future__ import annotations

from google.protobuf.timestamp_pb2 import Timestamp
from intent_contracts.intent.v1 import RecordedEvent

from intent.records import LogEntry

__all__ = ["recorded_event"]


def recorded_event(context: str, entry: LogEntry) -> RecordedEvent:
    """Returns a log entry in its envelope."""
    recorded_at = Timestamp()
    recorded_at.FromDatetime(entry.recorded_at)
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
        recorded_at=recorded_at,
        traceparent=entry.traceparent,
    )
