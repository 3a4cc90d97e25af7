"""The rows of a load as streams and commands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from intent.records import CommandKey, LogEntry, Snapshot, StoredEvent, StreamKey
from intent.store.event_store import STREAM_PAGE, Loaded, LoadedStream, StoredCommand, page_bytes

__all__ = ["load_arguments", "loaded", "log_entries"]

_SNAPSHOT, _COMMAND, _EVENT = range(3)


def load_arguments(streams: Sequence[StreamKey], commands: Sequence[CommandKey]) -> list[Any]:
    """Return one array per column of the streams, then of the commands, and the bounds of a page."""
    return [
        [key.tenant for key in streams],
        [key.aggregate_type for key in streams],
        [key.aggregate_id for key in streams],
        [key.tenant for key in commands],
        [key.command_id for key in commands],
        STREAM_PAGE,
        page_bytes(len(streams)),
    ]


def loaded(
    streams: Sequence[StreamKey], commands: Sequence[CommandKey], rows: Iterable[Any]
) -> Loaded | None:
    """Return the rows of a load function as streams and commands; a stream without rows does not exist.

    Returns:
        None when the data of an event is left out, because it is large.
    """
    snapshots: dict[int, Snapshot] = {}
    events: dict[int, list[StoredEvent]] = {}
    stored: dict[CommandKey, StoredCommand] = {}
    versions: dict[int, int] = {}
    for kind, number, version, type_, schema_version, data, fingerprint, workflow_id, reaches in rows:
        if kind == _EVENT:
            if data is None:
                return None
            events.setdefault(number, []).append(StoredEvent(version, type_, schema_version, data))
            versions[number] = reaches or version
        elif kind == _SNAPSHOT:
            snapshots[number] = Snapshot(version, schema_version, data)
            versions.setdefault(number, version)
        else:
            key = commands[number - 1]
            stored[key] = StoredCommand(key.command_id, fingerprint, data, version, workflow_id)
    return Loaded(
        {
            key: LoadedStream(versions.get(n, 0), snapshots.get(n), events.get(n, []))
            for n, key in enumerate(streams, 1)
        },
        stored,
    )


def log_entries(rows: Iterable[Any]) -> list[LogEntry]:
    """Return rows as entries of the log; the columns are in the order of the fields."""
    return list(map(LogEntry._make, rows))
