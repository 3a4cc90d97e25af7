"""The result table, and `build/bench.json`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Figure:
    """One scenario's result.

    Attributes:
        value: The value that Intent reached.
        unit: The unit of `value` and `baseline`.
        baseline: The value that the baseline reached in the same run, or None when there is none.
        ratio: `value` over `baseline`, or None.
        bar: The required ratio or, without a baseline, the required value; None: no requirement.
        at_most: True when the bar is an upper bound.
        note: Further numbers.
    """

    value: float
    unit: str
    baseline: float | None
    bar: float | None
    at_most: bool = False
    note: str = ""

    @property
    def ratio(self) -> float | None:
        return None if self.baseline is None else self.value / self.baseline

    @property
    def held(self) -> bool:
        if self.bar is None:
            return True
        measured = self.value if self.ratio is None else self.ratio
        return measured <= self.bar if self.at_most else measured >= self.bar


def write(figures: dict[str, Figure], path: Path) -> None:
    """Write the results as JSON, keeping those of scenarios that did not run this time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    known = json.loads(path.read_text()) if path.exists() else {}
    for name, figure in figures.items():
        known[name] = {**asdict(figure), "ratio": figure.ratio, "held": figure.held}
    path.write_text(json.dumps(known, indent=2) + "\n")


def show(figures: dict[str, Figure], console: Console) -> None:
    """Print the table."""
    table = Table(title="Intent compared with its baselines", title_justify="left")
    for column in ("scenario", "value", "baseline", "ratio", "bar", "", "note"):
        table.add_column(
            column, justify="right" if column in ("value", "baseline", "ratio", "bar") else "left"
        )
    for name, figure in figures.items():
        ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}x"
        unit = "" if figure.ratio is None else "x"
        table.add_row(
            name,
            f"{figure.value:,.4g} {figure.unit}",
            "" if figure.baseline is None else f"{figure.baseline:,.4g} {figure.unit}",
            ratio,
            "" if figure.bar is None else f"{'≤' if figure.at_most else '≥'} {figure.bar:,g}{unit}",
            "" if figure.bar is None else "[green]held[/]" if figure.held else "[red]missed[/]",
            figure.note,
        )
    console.print(table)
