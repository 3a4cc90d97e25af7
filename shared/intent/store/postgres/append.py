"""An append as the arguments of the SQL function, and its reply as outcomes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from intent.store.event_store import (
    Appended,
    AppendResult,
    CommandWrite,
    Conflict,
    StoredCommand,
    StreamAppend,
    StreamOutcome,
)
from intent.store.postgres.arrays import columns

__all__ = ["append_arguments", "append_result", "append_statement"]

_STREAM_COLUMNS: Final = 4
_COMMAND_COLUMNS: Final = 10
_EVENT_COLUMNS: Final = 6
_SNAPSHOT_COLUMNS: Final = 4


def append_statement(schema: str, *, careful: bool = True, checked: bool = False) -> str:
    """Return the statement that appends.

    Args:
        schema: The schema, as an SQL identifier.
        careful: False to assume that nothing was written before; if something was, the statement fails
            with a unique violation and has to be repeated carefully.
        checked: True to take the incarnation of the log as a further argument, and to fail in another.
    """
    count = _STREAM_COLUMNS + _COMMAND_COLUMNS + _EVENT_COLUMNS + _SNAPSHOT_COLUMNS + 2
    parameters = ", ".join(f"${n}" for n in range(1, count + 1))
    last = f"{schema}.in_incarnation(${count + 1}, {careful})" if checked else f"{careful}"
    return f"select * from {schema}.append_0005({parameters}, {last})"  # noqa: S608 - a quoted identifier


def append_arguments(streams: Sequence[StreamAppend]) -> list[Sequence[Any]]:
    """Return one array per column, of the streams, commands, events and snapshots.

    Each column of each row takes a microsecond to encode, so a row has only what its stream or its command
    does not say already.
    """
    return [
        *columns([(*stream.key, stream.expected_version) for stream in streams], _STREAM_COLUMNS),
        *columns(list(_command_rows(streams)), _COMMAND_COLUMNS),
        *columns(list(_event_rows(streams)), _EVENT_COLUMNS),
        *columns(list(_snapshot_rows(streams)), _SNAPSHOT_COLUMNS),
        [n for n, stream in enumerate(streams, 1) if not any(c.events for c in stream.commands)],
        _trace_states(streams),
    ]


def append_result(streams: Sequence[StreamAppend], row: Mapping[str, Any]) -> AppendResult:
    """Return the outcomes of an append, given the function's reply."""
    position: int = row["base"]
    versions = dict(zip(row["failed_group"] or (), row["failed_version"] or (), strict=True))
    duplicates = _duplicates(row) if versions else {}
    outcomes: list[StreamOutcome] = []
    number = 0
    for group, stream in enumerate(streams, 1):
        numbers = range(number + 1, number + 1 + len(stream.commands))
        number += len(stream.commands)
        if group in versions:
            known = [duplicates[n] for n in numbers if n in duplicates]
            outcomes.append(Conflict(versions[group], {stored.command_id: stored for stored in known}))
        else:
            positions = _positions(position, stream.commands)
            position = positions[-1] if positions else position
            outcomes.append(Appended(positions))
    return AppendResult(outcomes, position)


def _positions(base: int, commands: Sequence[CommandWrite]) -> list[int]:
    positions = []
    for command in commands:
        base += len(command.events)
        positions.append(base)
    return positions


def _command_rows(streams: Sequence[StreamAppend]) -> Iterator[tuple[Any, ...]]:
    for group, stream in enumerate(streams, 1):
        for command in stream.commands:
            origin = command.origin
            yield (
                group,
                origin.command_id,
                command.fingerprint,
                command.outcome,
                len(command.events),
                origin.correlation_id,
                origin.causation_id,
                origin.actor,
                origin.trace.parent,
                command.workflow_id,
            )


def _trace_states(streams: Sequence[StreamAppend]) -> list[str]:
    """Return the trace state of each command, or none at all when all are empty, as most are."""
    states = [command.origin.trace.state for stream in streams for command in stream.commands]
    return states if any(states) else []


def _event_rows(streams: Sequence[StreamAppend]) -> Iterator[tuple[Any, ...]]:
    number = 0
    for stream in streams:
        version = stream.expected_version
        for command in stream.commands:
            number += 1
            for event in command.events:
                version += 1
                yield (number, version, event.event_id, event.type, event.schema_version, event.data)


def _snapshot_rows(streams: Sequence[StreamAppend]) -> Iterator[tuple[Any, ...]]:
    for group, stream in enumerate(streams, 1):
        snapshot = stream.snapshot
        if snapshot is not None:
            yield (group, snapshot.version, snapshot.state_version, snapshot.state)


def _duplicates(row: Mapping[str, Any]) -> dict[int, StoredCommand]:
    columns = ("d_command", "d_id", "d_fingerprint", "d_outcome", "d_position", "d_workflow")
    rows = zip(*(row[column] or () for column in columns), strict=True)
    return {number: StoredCommand(*values) for number, *values in rows}
