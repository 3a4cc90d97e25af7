"""Builders of appends, and readers of their results."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID, uuid4

from intent.origin import Origin
from intent.records import LogEntry, Snapshot, StreamKey
from intent.store import (
    Appended,
    AppendResult,
    CommandWrite,
    Conflict,
    EventStore,
    EventWrite,
    StreamAppend,
)

ACME, GLOBEX = "acme", "globex"


def key(aggregate_id: str = "o-1", tenant: str = ACME, kind: str = "Order") -> StreamKey:
    return StreamKey(tenant, kind, aggregate_id)


def event(data: bytes = b"data", kind: str = "orders.v1.OrderPlaced", schema_version: int = 1) -> EventWrite:
    return EventWrite(uuid4(), kind, schema_version, data)


def command(
    events: int | Sequence[EventWrite] = 1, known_as: UUID | None = None, workflow_id: str = "", **origin: Any
) -> CommandWrite:
    """Return a command that records a number of events, or these."""
    writes = [event() for _ in range(events)] if isinstance(events, int) else events
    command_id = known_as or uuid4()
    return CommandWrite(
        Origin(**{"tenant": "", "command_id": command_id, "correlation_id": "", **origin}),
        b"fingerprint-" + command_id.bytes,
        b"outcome-" + command_id.bytes,
        writes,
        workflow_id,
    )


def to(
    stream: StreamKey, expected: int = 0, *commands: CommandWrite, snapshot: Snapshot | None = None
) -> StreamAppend:
    """Return an append to one stream; by default of one command with one event."""
    return StreamAppend(stream, expected, commands or [command()], snapshot)


def positions(entries: Iterable[LogEntry]) -> list[int]:
    return [entry.position for entry in entries]


def written(result: AppendResult, index: int = 0) -> list[int]:
    """Return the positions of a stream's commands; fail if it conflicted."""
    outcome = result.outcomes[index]
    assert isinstance(outcome, Appended), outcome
    return list(outcome.positions)


def conflict(result: AppendResult, index: int = 0) -> Conflict:
    """Return the conflict of a stream; fail if it was written."""
    outcome = result.outcomes[index]
    assert isinstance(outcome, Conflict), outcome
    return outcome


async def fill(store: EventStore, streams: int, tenant: str = ACME, kind: str = "Order") -> list[StreamKey]:
    """Append one event to each of a number of new streams."""
    keys = [key(f"{kind.lower()}-{n}", tenant, kind) for n in range(streams)]
    await store.append([to(stream) for stream in keys])
    return keys
