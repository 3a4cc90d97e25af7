"""Tables of the command line."""

from __future__ import annotations

import pytest
from intent.cli.tables import print_table
from rich.text import Text


def test_what_looks_like_markup_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(
        ("Error",), [("no [red]such[/red] key: ['a']",), (Text("fine", "green"),)], title="[x] orders"
    )
    lines = [line.strip("│ ") for line in capsys.readouterr().out.splitlines()]
    assert "no [red]such[/red] key: ['a']" in lines
    assert "fine" in lines
    assert "[x] orders" in lines


def test_numbers_are_aligned_to_the_right(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("Name", "Lag"), [("first", "7"), ("second", "1200")], numbers=("Lag",))
    lines = capsys.readouterr().out.splitlines()
    assert "│ first  │    7 │" in lines
    assert "│ second │ 1200 │" in lines


def test_nothing_of_a_long_cell_is_lost(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    print_table(("Type",), [("orders.v1.AVeryLongNameOfAnEventThatDoesNotFit",)])
    shown = "".join(line.strip("│ ") for line in capsys.readouterr().out.splitlines() if "│" in line)
    assert "orders.v1.AVeryLongNameOfAnEventThatDoesNotFit" in shown
