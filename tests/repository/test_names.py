"""What the pages say to type exists: commands, settings, metrics, values of the charts, targets of make."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from intent.cli.app import app

from .files import PLATFORM, ROOT

PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "helm").glob("*/README.md")),
]
_SPAN = re.compile(r"`(intent [a-z][^`\n]*)`")
_BLOCK = re.compile(r"```.*?```", re.DOTALL)
_LINE = re.compile(r"^(?:kubectl .* -- |\.venv/bin/)?(intent [a-z].*)$", re.MULTILINE)
_SECTIONS = ("database", "identity", "metrics", "networkPolicy", "server", "temporal", "worker")
_SUFFIXES = ("_bucket", "_count", "_sum", "_total")
_NO_METRICS = ("intent_contracts", "intent_workspace")


def _commands() -> Iterator[tuple[str, str]]:
    """Yield the pages and the commands in them that are whole, in sentences and in blocks."""
    for page in PAGES:
        text = page.read_text()
        lines = [line for block in _BLOCK.findall(text) for line in _LINE.findall(block)]
        for command in dict.fromkeys([*_SPAN.findall(text), *lines]):
            if command.count("'") % 2 == 0 and not command.endswith("\\"):
                yield page.name, command


@pytest.mark.parametrize(("page", "command"), _commands())
def test_a_command_is_accepted_as_it_is_written(page: str, command: str) -> None:
    line = re.sub(r"<[^<>]*>|\"…\"|\bN\b", "7", command).split(" | ")[0]
    words = [word for word in shlex.split(line, comments=True)[1:] if word != "…"]
    _accept(_program(), words)


@cache
def _program() -> Any:
    return typer.main.get_command(app)


def _accept(command: Any, words: list[str]) -> None:
    """Parse the arguments of a command; one that is only named needs none."""
    context = command.make_context("intent", [], resilient_parsing=True)
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        name, command, words = command.resolve_command(context, words)
        context = command.make_context(name, [], parent=context, resilient_parsing=True)
    if words and not hasattr(command, "commands"):
        command.make_context(command.name, words, parent=context.parent)


@cache
def _sources() -> str:
    """Return the code of the platform, the charts' templates and the Makefile."""
    files = [*PLATFORM.rglob("*.py"), *(ROOT / "helm").rglob("*.*"), *(ROOT / "tests").rglob("*.py")]
    texts = [path.read_text() for path in files if path.suffix in (".py", ".yaml", ".tpl", ".json")]
    return "\n".join(texts)


def _named(pattern: str) -> list[tuple[str, str]]:
    found = ((page.name, set(re.findall(pattern, page.read_text()))) for page in PAGES)
    return [(page, name) for page, names in found for name in sorted(names)]


def test_every_setting_exists() -> None:
    settings = (ROOT / "docs" / "settings.md").read_text()
    unknown = [
        f"{page}: {name}"
        for page, name in _named(r"\bINTENT_[A-Z_]+[A-Z]\b")
        if f"`{name}`" not in settings and f'"{name}"' not in _sources()
    ]
    assert unknown == []


def test_every_metric_exists() -> None:
    unknown = []
    for page, name in _named(r"\bintent_[a-z_]+[a-z]\b"):
        plain = next((name.removesuffix(suffix) for suffix in _SUFFIXES if name.endswith(suffix)), name)
        if name not in _NO_METRICS and f'"{plain}"' not in _sources():
            unknown.append(f"{page}: {name}")
    assert unknown == []


def test_every_value_of_the_charts_exists() -> None:
    charts = [yaml.safe_load(_values(chart).read_text()) for chart in ("context", "platform")]
    pattern = rf"`((?:{'|'.join(_SECTIONS)})\.[A-Za-z.]+)"
    unknown = [
        f"{page}: {path}"
        for page, path in _named(pattern)
        if not any(_leads(values, path.split(".")) for values in charts)
    ]
    assert unknown == []


def _values(chart: str) -> Path:
    return ROOT / "helm" / chart / "values.yaml"


def _leads(values: Any, path: list[str]) -> bool:
    """Return whether a path leads to a value, or into an object that the chart leaves empty."""
    for name in path:
        if not values and isinstance(values, dict):
            return True
        if not isinstance(values, dict) or name not in values:
            return False
        values = values[name]
    return True


def test_every_target_of_make_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    unknown = [f"{page}: {name}" for page, name in _named(r"`make ([a-z-]+)") if name not in targets]
    assert unknown == []
