"""Tables for a person."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, TypeAlias, TypeVar

from rich.table import Table
from rich.text import Text

from intent.cli.formatting import format_time
from intent.cli.output import markup, open_console
from intent.escaping import escaped

if TYPE_CHECKING:
    from intent_contracts.intent.v1 import ParkedEvent

__all__ = ["Cell", "Parked", "print_causes", "print_streams", "print_table"]

_CAUSE: Final = re.compile(r"([A-Za-z_][\w.]*): ")

Cell: TypeAlias = str | Text


def print_table(
    headings: Sequence[str],
    rows: Iterable[Sequence[Cell]],
    *,
    title: str = "",
    numbers: Collection[str] = (),
    unwrapped: Collection[str] = (),
) -> None:
    """Print a table to standard output.

    Args:
        headings: The heading of each column.
        rows: The cells of each row. A string is printed as it is, brackets included; a `Text` has its style.
        title: What stands above the table.
        numbers: The headings of columns that are aligned to the right.
        unwrapped: The headings of columns whose cells stay on one line.
    """
    table = Table(title=markup(title) or None, title_justify="left")
    for heading in headings:
        table.add_column(
            heading,
            justify="right" if heading in numbers else "left",
            no_wrap=heading in unwrapped,
            overflow="fold",
        )
    for row in rows:
        table.add_row(*(Text(escaped(cell)) if isinstance(cell, str) else cell for cell in row))
    open_console().print(table)


class Parked(Protocol):
    """A stream that a consumer has parked."""

    @property
    def consumer(self) -> str:
        """The consumer's name."""
        ...

    @property
    def tenant(self) -> str:
        """The tenant to which it belongs."""
        ...


P = TypeVar("P", bound=Parked)


class _Cause(NamedTuple):
    consumer: str
    event: str
    cause: str


def _cause_of(error: str) -> str:
    """Return what errors of one cause have in common: the reason, or the class of an exception.

    The rest names an order, an account or the like, and differs from event to event.
    """
    match = _CAUSE.match(error)
    return match[1] if match else error


def print_causes(streams: Mapping[P, Sequence[ParkedEvent]]) -> None:
    """Print why streams are parked, one row for each cause, with those first that most have in common."""
    causes: dict[_Cause, list[P]] = {}
    for stream, events in streams.items():
        first = events[0]
        cause = _Cause(stream.consumer, first.event.type, _cause_of(first.error))
        causes.setdefault(cause, []).append(stream)

    def row(cause: _Cause, parked: Sequence[P]) -> Sequence[str]:
        first = streams[parked[0]][0]
        since = min(streams[each][0].parked_at.ToDatetime() for each in parked)
        behind = sum(len(streams[each]) - 1 for each in parked)
        example = f"{parked[0]} of tenant {parked[0].tenant}"
        kind = cause.event.rpartition(".")[2]
        counts = (str(len(parked)), str(behind))
        return (cause.consumer, kind, *counts, format_time(since), example, first.error)

    rows = [row(*item) for item in sorted(causes.items(), key=lambda item: (-len(item[1]), item[0]))]
    headings = ("Consumer", "Event", "Streams", "Behind", "Since", "Example", "Its error")
    print_table(headings, rows, numbers=("Streams", "Behind"))


def print_streams(streams: Mapping[P, Sequence[ParkedEvent]]) -> None:
    """Print each parked stream, with the event that failed."""

    def row(stream: P, first: ParkedEvent, behind: int) -> Sequence[str]:
        return (
            stream.consumer,
            stream.tenant,
            str(stream),
            str(first.event.position),
            first.event.type.rpartition(".")[2],
            str(first.attempts),
            str(behind),
            format_time(first.parked_at.ToDatetime()),
            first.error,
        )

    headings = ("Consumer", "Tenant", "Stream", "Position", "Event", "Tried", "Behind", "Since", "Error")
    rows = (row(stream, events[0], len(events) - 1) for stream, events in streams.items())
    print_table(headings, rows, numbers=("Position", "Tried", "Behind"))
