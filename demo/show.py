"""Display of the progress, of the outcomes of the orders, and of whether they add up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from demo.books import Books, Outcome

__all__ = ["progress", "show_books"]

_PROBLEMS_SHOWN = 20


def progress(console: Console) -> Progress:
    """Return the progress bars of a run."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )


def show_books(console: Console, books: Sequence[Books], late: Mapping[str, int]) -> bool:
    """Print the outcomes and the check; return whether everything adds up."""
    console.print(_outcomes(books))
    if late:
        words = ", ".join(f"{number} by {reason}" for reason, number in sorted(late.items()))
        console.print(f"Cancellations that came too late and were refused: {words}")
    console.print(_sums(books))
    problems = [f"{one.tenant}: {problem}" for one in books for problem in one.problems()]
    for problem in problems[:_PROBLEMS_SHOWN]:
        console.print(problem, style="red", highlight=False)
    if len(problems) > _PROBLEMS_SHOWN:
        console.print(f"and {len(problems) - _PROBLEMS_SHOWN} more", style="red")
    return not problems


def _outcomes(books: Sequence[Books]) -> Table:
    table = Table(title="Outcomes of the orders", title_justify="left")
    table.add_column("outcome")
    for one in books:
        table.add_column(one.tenant, justify="right")
    table.add_column("all", justify="right")
    counts = [one.outcomes() for one in books]
    for outcome in Outcome:
        numbers = [count[outcome] for count in counts]
        if any(numbers):
            table.add_row(outcome.value, *map(str, numbers), str(sum(numbers)))
    totals = [count.total() for count in counts]
    table.add_section()
    table.add_row("orders", *map(str, totals), str(sum(totals)))
    return table


def _sums(books: Sequence[Books]) -> Table:
    table = Table(title="Whether it adds up", title_justify="left")
    for name in ("tenant", "sold, EUR", "charged, EUR", "came in", "left", "there", "held", "adds up"):
        table.add_column(name, justify="left" if name in ("tenant", "adds up") else "right")
    for one in books:
        came_in = sum(one.received.values())
        there = sum(item.on_hand for item in one.stock.values())
        held = sum(item.reserved for item in one.stock.values())
        right = "[red]no[/red]" if one.problems() else "[green]yes[/green]"
        money = (_euros(one.sold()), _euros(one.charged()))
        table.add_row(one.tenant, *money, *map(str, (came_in, one.left(), there, held)), right)
    return table


def _euros(cents: int) -> str:
    return f"{cents / 100:,.2f}"
