"""Short ways to say what is appended."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID, uuid4

from intent.records import LogEntry, Snapshot, StreamKey
from intent.store.port import CommandWrite, EventWrite, StreamAppend

FINGERPRINT = b"f" * 32


def stream(name: str = "o-1", tenant: str = "acme", kind: str = "Order") -> StreamKey:
    return StreamKey(tenant, kind, name)


def event(data: bytes = b"data", type_: str = "orders.v1.OrderPlaced", version: int = 1) -> EventWrite:
    return EventWrite(uuid4(), type_, version, data)


def command(*events: EventWrite, command_id: UUID | None = None, correlation: str = "story") -> CommandWrite:
    """A command with these events; without any it was rejected."""
    return CommandWrite(
        command_id=command_id or uuid4(),
        fingerprint=FINGERPRINT,
        outcome=b"outcome",
        events=events,
        correlation_id=correlation,
        causation_id="cause",
        actor="ann",
        traceparent="00-trace-span-01",
        workflow_id="workflow",
    )


def one(
    key: StreamKey,
    expected: int = 0,
    *,
    events: int = 1,
    command_id: UUID | None = None,
    snapshot: Snapshot | None = None,
) -> StreamAppend:
    """One command with so many events on one stream."""
    made = [event(f"{key.aggregate_id}/{expected + n + 1}".encode()) for n in range(events)]
    return StreamAppend(key, expected, [command(*made, command_id=command_id)], snapshot)


def positions(entries: Sequence[LogEntry]) -> list[int]:
    return [entry.position for entry in entries]


def versions(entries: Sequence[LogEntry]) -> list[int]:
    return [entry.version for entry in entries]
