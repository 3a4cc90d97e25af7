"""Fill in the files of a new context from the templates beside this module."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.resources import files
from string import Template
from typing import Final

from intent.cli.scaffold.names import ScaffoldNames

__all__ = ["fill_template", "new_files"]

_PATHS: Final = {
    "proto/{0}/v1/{0}.proto": "contract.proto",
    "contexts/{0}/pyproject.toml": "pyproject.toml",
    "contexts/{0}/{0}/__init__.py": "package.py",
    "contexts/{0}/{0}/aggregates.py": "aggregates.py",
    "contexts/{0}/{0}/context.py": "context.py",
    "contexts/{0}/{0}/projections.py": "projections.py",
    "contexts/{0}/{0}/py.typed": "py.typed",
    "contexts/{0}/{0}/queries.py": "queries.py",
    "contexts/{0}/tests/test_{0}_context.py": "test.py",
}
"""The path of each file, in which {0} is the context, and its template."""


def new_files(names: ScaffoldNames) -> dict[str, str]:
    """Return the text of each file that a context consists of, by its path in the workspace."""
    fields = {**names.fields(), **_imports(names)}
    return {path.format(names.context): fill_template(name, fields) for path, name in _PATHS.items()}


def fill_template(template: str, fields: Mapping[str, str]) -> str:
    """Return the text of a template, named without its ending ``.tmpl``, filled with fields."""
    path = files(__package__) / "templates" / f"{template}.tmpl"
    return Template(path.read_text()).substitute(fields)


def _imports(names: ScaffoldNames) -> dict[str, str]:
    """Return the imports whose order depends on the names.

    With one name a line, formatter and linter accept them whatever the lengths of the names.
    """
    own, contracts = names.messages, f"intent_contracts.{names.context}.v1"
    modules = {
        "intent.contracts": "Registry",
        "intent.testing": "given, projected",
        contracts: f"(\n{_one_a_line(own[kind] for kind in ('command', 'event', 'view'))}\n)",
        f"{names.context}.aggregates": names.aggregate,
        f"{names.context}.context": "context",
        f"{names.context}.projections": f"{names.aggregate}Views",
    }
    return {
        "aggregate_messages": _one_a_line(["Reason", *(own[kind] for kind in ("command", "event", "state"))]),
        "projection_messages": _one_a_line(own[kind] for kind in ("event", "view")),
        "query_messages": _one_a_line(own[kind] for kind in ("query", "view")),
        "test_imports": "\n".join(f"from {module} import {modules[module]}" for module in sorted(modules)),
    }


def _one_a_line(names: Iterable[str]) -> str:
    return "\n".join(f"    {name}," for name in sorted(names, key=str.lower))
