"""Add a context to the files that name every context."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from intent.cli.exits import UsageError
from intent.cli.scaffold.names import ScaffoldNames

__all__ = ["EDITS"]

_IMPORT_RULES: Final = (
    ("importlinter", "root_packages"),
    ("importlinter:contract:platform", "forbidden_modules"),
    ("importlinter:contract:contexts", "source_modules"),
    ("importlinter:contract:neighbours", "modules"),
)
"""Where `.importlinter` lists the contexts, by section and key."""


def _import_rules(text: str, names: ScaffoldNames) -> str:
    for section, key in _IMPORT_RULES:
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
    """Return a text with one more line in the sorted block that a pattern finds.

    The new line goes before the first one that sorts after it; the others keep their order, sorted or not.
    """
    match = re.search(pattern, text, re.MULTILINE)
    if match is None:
        raise _lost(*place, line.strip())
    lines = match.group(1).splitlines(keepends=True)
    if line in lines:
        return text
    lines.insert(next((index for index, other in enumerate(lines) if other > line), len(lines)), line)
    return text[: match.start(1)] + "".join(lines) + text[match.end(1) :]


def _with_path(text: str, path: str) -> str:
    match = re.search(r'^mypy_path = "(.*)"$', text, re.MULTILINE)
    if match is None:
        raise _lost("pyproject.toml", "mypy_path of [tool.mypy]", path)
    paths = match.group(1).split(":")
    first = [other for other in paths if not other.startswith("contexts/")]
    contexts = sorted({path, *(other for other in paths if other.startswith("contexts/"))})
    return text[: match.start(1)] + ":".join([*first, *contexts]) + text[match.end(1) :]


def _lost(file: str, place: str, entry: str) -> UsageError:
    return UsageError(f"{file} no longer has {place}; restore it with {entry} in it, and try again")


EDITS: Final[dict[str, Callable[[str, ScaffoldNames], str]]] = {
    ".importlinter": _import_rules,
    "pyproject.toml": _root_project,
}
"""For each file that names every context, the function that adds one.

It takes the file's text and raises `UsageError` if it does not find the place.
"""
