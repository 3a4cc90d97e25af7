"""Adds a context to the files that name every context."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from intent.cli.exits import UsageError
from intent.cli.scaffold.names import ScaffoldNames

__all__ = ["EDITS"]

_WALLS: Final = (
    ("importlinter", "root_packages"),
    ("importlinter:contract:platform", "forbidden_modules"),
    ("importlinter:contract:contexts", "source_modules"),
    ("importlinter:contract:neighbours", "modules"),
)
"""Where `.importlinter` lists the contexts, by section and key."""


def _walls(text: str, names: ScaffoldNames) -> str:
    for section, key in _WALLS:
        place = f"{key} of [{section}]"
        pattern = rf"^\[{re.escape(section)}\]\n(?:(?!\[).*\n)*?{key} =\n((?:    \S.*\n)+)"
        text = _with_line(text, pattern, f"    {names.context}\n", (".importlinter", place))
    return text


def _root_project(text: str, names: ScaffoldNames) -> str:
    file, own = "pyproject.toml", names.distribution
    needs = r"^\[project\]\n(?:(?!\[).*\n)*?dependencies = \[\n((?:    .*\n)+)"
    text = _with_line(text, needs, f'    "{own}",\n', (file, "dependencies of [project]"))
    sources = r"^\[tool\.uv\.sources\]\n((?:\S.*\n)+)"
    text = _with_line(text, sources, f"{own} = {{ workspace = true }}\n", (file, "[tool.uv.sources]"))
    return _with_path(text, f"contexts/{names.context}")


def _with_line(text: str, pattern: str, line: str, place: tuple[str, str]) -> str:
    """Returns a text with a line more in the sorted block that a pattern finds.

    The lines before the first that sorts after the new one stay where they are, so that an order
    of somebody else's making is kept.
    """
    found = re.search(pattern, text, re.MULTILINE)
    if found is None:
        raise _lost(*place, line.strip())
    lines = found.group(1).splitlines(keepends=True)
    if line in lines:
        return text
    at = next((index for index, other in enumerate(lines) if other > line), len(lines))
    lines.insert(at, line)
    return text[: found.start(1)] + "".join(lines) + text[found.end(1) :]


def _with_path(text: str, path: str) -> str:
    found = re.search(r'^mypy_path = "(.*)"$', text, re.MULTILINE)
    if found is None:
        raise UsageError(
            f"pyproject.toml has no mypy_path of [tool.mypy] any more; write {path} there by hand"
        )
    paths = found.group(1).split(":")
    first = [other for other in paths if not other.startswith("contexts/")]
    contexts = sorted({path, *(other for other in paths if other.startswith("contexts/"))})
    return text[: found.start(1)] + ":".join([*first, *contexts]) + text[found.end(1) :]


def _lost(file: str, place: str, entry: str) -> UsageError:
    return UsageError(f"{file} has no {place} any more; put it back with {entry} in it, and try again")


EDITS: Final[dict[str, Callable[[str, ScaffoldNames], str]]] = {
    ".importlinter": _walls,
    "pyproject.toml": _root_project,
}
"""For each file that names every context, what adds one.

Each takes the file's text and raises `UsageError` when it no longer finds the place.
"""
