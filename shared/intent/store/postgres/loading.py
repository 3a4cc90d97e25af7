"""A load's rows as streams and commands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from intent.records import CommandKey, LogEntry, Snapshot, StoredEvent, StreamKey
from intent.store.port import Loaded, LoadedStream, StoredCommand

__all__ = ["load_arguments", "loaded", "log_entry"]

_STREAM, _SNAPSHOT, _COMMAND, _EVENT = range(4)


def load_arguments(streams: Sequence[StreamKey], commands: Sequence[CommandKey]) -> list[list[Any]]:
    """Returns one array per column of the streams, then of the commands."""
    return [
        [key.tenant for key in streams],
        [key.aggregate_type for key in streams],
        [key.aggregate_id for key in streams],
        [key.tenant for key in commands],
        [key.command_id for key in commands],
    ]


def loaded(streams: Sequence[StreamKey], commands: Sequence[CommandKey], rows: Iterable[Any]) -> Loaded:
    """Returns what the rows of the load function tell; a stream without rows does not exist."""
    versions: dict[int, int] = {}
    snapshots: dict[int, Snapshot] = {}
    events: dict[int, list[StoredEvent]] = {}
    stored: dict[CommandKey, StoredCommand] = {}
    for kind, number, version, type_, schema_version, data, fingerprint, workflow_id in rows:
        index = number - 1
        if kind == _EVENT:
            events.setdefault(index, []).append(StoredEvent(version, type_, schema_version, data))
        elif kind == _STREAM:
            versions[index] = version
        elif kind == _SNAPSHOT:
            snapshots[index] = Snapshot(version, schema_version, data)
        else:
            key = commands[index]
            stored[key] = StoredCommand(key.command_id, fingerprint, data, version, workflow_id)
    return Loaded(
        {
            key: LoadedStream(versions.get(index, 0), snapshots.get(index), events.get(index, []))
            for index, key in enumerate(streams)
        },
        stored,
    )


def log_entry(row: Any) -> LogEntry:
    """Returns an entry of the log; the columns are in the order of the fields."""
    return LogEntry(*row)
