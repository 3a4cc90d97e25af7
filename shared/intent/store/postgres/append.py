"""An append as the arguments of the SQL function, and its reply as outcomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from intent.store.port import Appended, AppendResult, Conflict, StoredCommand, StreamAppend, StreamOutcome

__all__ = ["append_arguments", "append_result", "append_statement"]

_PARAMETERS = 25


def append_statement(schema: str) -> str:
    """Returns the statement that appends."""
    parameters = ", ".join(f"${n}" for n in range(1, _PARAMETERS + 1))
    return f"select * from {schema}.append({parameters})"  # noqa: S608 - a validated identifier


def append_arguments(streams: Sequence[StreamAppend]) -> list[list[Any]]:
    """Returns one array per column, numbering groups and commands from 1 as SQL does."""
    groups: list[tuple[Any, ...]] = []
    commands: list[tuple[Any, ...]] = []
    events: list[tuple[Any, ...]] = []
    snapshots: list[tuple[Any, ...]] = []
    for number, stream in enumerate(streams, 1):
        version = stream.expected_version
        for command in stream.commands:
            commands.append(
                (
                    number,
                    command.command_id,
                    command.fingerprint,
                    command.outcome,
                    len(command.events),
                    command.correlation_id,
                    command.causation_id,
                    command.actor,
                    command.traceparent,
                    command.workflow_id,
                )
            )
            for event in command.events:
                version += 1
                events.append(
                    (len(commands), version, event.event_id, event.type, event.schema_version, event.data)
                )
        groups.append((*stream.key, stream.expected_version, version))
        if stream.snapshot is not None:
            kept = stream.snapshot
            snapshots.append((number, kept.version, kept.state_version, kept.state))
    return [
        *_columns(groups, 5),
        *_columns(commands, 10),
        *_columns(events, 6),
        *_columns(snapshots, 4),
    ]


def append_result(streams: Sequence[StreamAppend], row: Mapping[str, Any]) -> AppendResult:
    """Returns the outcomes of an append, given the function's reply."""
    versions = dict(zip(row["failed_group"] or (), row["failed_version"] or (), strict=True))
    duplicates = _duplicates(row)
    outcomes: list[StreamOutcome] = []
    position: int = row["base"]
    number = 0
    for group, stream in enumerate(streams, 1):
        written = range(number + 1, number + 1 + len(stream.commands))
        number += len(stream.commands)
        if group in versions:
            known = [duplicates[n] for n in written if n in duplicates]
            outcomes.append(Conflict(versions[group], {stored.command_id: stored for stored in known}))
            continue
        positions = []
        for command in stream.commands:
            position += len(command.events)
            positions.append(position)
        outcomes.append(Appended(positions))
    return AppendResult(outcomes, position)


def _duplicates(row: Mapping[str, Any]) -> dict[int, StoredCommand]:
    columns = ("d_command", "d_id", "d_fingerprint", "d_outcome", "d_position", "d_workflow")
    found = zip(*(row[column] or () for column in columns), strict=True)
    return {number: StoredCommand(*values) for number, *values in found}


def _columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]
