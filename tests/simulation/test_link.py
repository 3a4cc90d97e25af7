"""How the way to a simulated system behaves, and where a simulator keeps its ledger."""

from __future__ import annotations

from pathlib import Path

import pytest
from intent.errors import ConfigurationError
from intent.simulation import Link, Trouble, ledger_path

NONE, REFUSED, LOST, TWICE = Trouble.NONE, Trouble.REFUSED, Trouble.LOST, Trouble.TWICE


@pytest.mark.parametrize(
    ("marker", "troubles"),
    [
        ("", [NONE, NONE, NONE]),
        ("flaky", [REFUSED, REFUSED, NONE]),
        ("timeout", [LOST, NONE, NONE]),
        ("twice", [TWICE, TWICE, TWICE]),
    ],
)
def test_a_marker_demands_trouble(marker: str, troubles: list[Trouble]) -> None:
    assert [Link().trouble_of(marker, "key", attempt) for attempt in (1, 2, 3)] == troubles


def test_trouble_comes_by_chance_as_often_as_is_set() -> None:
    met = [Link(trouble=0.3).trouble_of("", f"key-{number}", 1) for number in range(1000)]
    assert 200 < sum(trouble is not NONE for trouble in met) < 400
    assert {REFUSED, LOST, TWICE} < set(met)
    assert met == [Link(trouble=0.3).trouble_of("", f"key-{number}", 1) for number in range(1000)]


def test_an_attempt_after_trouble_may_succeed() -> None:
    link = Link(trouble=0.5)
    troubles = {link.trouble_of("", "key", attempt) for attempt in range(1, 50)}
    assert NONE in troubles
    assert len(troubles) > 1


def test_the_environment_sets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BANK_LATENCY_MS", "0")
    monkeypatch.setenv("BANK_TROUBLE", "0.25")
    assert Link.from_environment("BANK", slow_ms=7) == Link(latency_ms=0, slow_ms=7, trouble=0.25)


@pytest.mark.parametrize(
    ("variable", "value"), [("BANK_LATENCY_MS", "-1"), ("BANK_SLOW_MS", "soon"), ("BANK_TROUBLE", "1.5")]
)
def test_an_invalid_value_is_refused_by_the_name_of_its_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError, match=f"{variable} is '{value}'"):
        Link.from_environment("BANK")


def test_a_ledger_is_where_the_variable_says_or_with_the_data_of_development(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("INTENT_DEV_DATA", raising=False)
    assert ledger_path("BANK_LEDGER", "bank.sqlite3").name == "bank.sqlite3"
    monkeypatch.setenv("INTENT_DEV_DATA", str(tmp_path))
    assert ledger_path("BANK_LEDGER", "bank.sqlite3") == tmp_path / "bank.sqlite3"
    monkeypatch.setenv("BANK_LEDGER", str(tmp_path / "books"))
    assert ledger_path("BANK_LEDGER", "bank.sqlite3") == tmp_path / "books"
