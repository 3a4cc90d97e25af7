"""Tables for a person."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TypeAlias

from rich.table import Table
from rich.text import Text

from intent.cli.output import markup, open_console
from intent.escaping import escaped

__all__ = ["Cell", "print_table"]

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
