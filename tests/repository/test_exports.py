"""Every module says what it exports: sorted, complete and true."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import intent
import pytest

_RUN_BY_ALEMBIC = re.compile(r"intent\.store\.migrations\.(versions|env|script)\b")
_COMMANDS = "intent.cli.commands."


def _modules() -> Iterator[tuple[ModuleType, ast.Module]]:
    """Yield the platform's modules with their syntax, those of nothing but a docstring left out."""
    for found in pkgutil.walk_packages(intent.__path__, "intent."):
        if not found.name.endswith("__main__") and not _RUN_BY_ALEMBIC.match(found.name):
            module = importlib.import_module(found.name)
            tree = ast.parse(Path(str(module.__file__)).read_text())
            if len(tree.body) > 1:
                yield module, tree


def _exported(module: ModuleType) -> list[str]:
    return list(getattr(module, "__all__", ()))


def _order(name: str) -> tuple[int, str]:
    """Constants come first, then classes, then functions, as the linter sorts."""
    return (0 if name.isupper() and len(name) > 1 else 1 if name[0].isupper() else 2, name)


def _taken(package: str, tree: ast.Module) -> set[str]:
    """Return the names that a package takes from its own modules."""
    return {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{package}.")
        for alias in node.names
    }


def _defined(tree: ast.Module) -> set[str]:
    """Return the public classes and functions that a module defines."""
    kinds = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    return {node.name for node in tree.body if isinstance(node, kinds) and node.name[0] != "_"}


def test_exports_are_sorted_and_there() -> None:
    wrong = {}
    for module, _ in _modules():
        exported = _exported(module)
        missing = [name for name in exported if not hasattr(module, name)]
        if not exported or exported != sorted(exported, key=_order) or missing:
            wrong[module.__name__] = missing or exported
    assert wrong == {}


def test_a_package_exports_all_that_it_takes_from_its_modules() -> None:
    hidden = {
        module.__name__: _taken(module.__name__, tree) - set(_exported(module))
        for module, tree in _modules()
        if Path(str(module.__file__)).name == "__init__.py"
    }
    assert {name: names for name, names in hidden.items() if names} == {}


def test_every_public_class_and_function_is_exported() -> None:
    hidden = {
        module.__name__: _defined(tree) - set(_exported(module))
        for module, tree in _modules()
        if not module.__name__.startswith(_COMMANDS)
    }
    assert {name: names for name, names in hidden.items() if names} == {}


@pytest.mark.parametrize(
    "name",
    [
        "intent.contracts",
        "intent.envelopes",
        "intent.model",
        "intent.read_models",
        "intent.sagas",
        "intent.store.event_store",
        "intent.testing",
        "orders.context",
    ],
)
def test_the_pure_part_loads_without_database_rpc_and_workflows(name: str) -> None:
    assert _loaded_by(name) & {"asyncpg", "grpc", "sqlalchemy", "temporalio"} == set()


def test_the_client_loads_without_database_and_workflows() -> None:
    assert _loaded_by("intent.client") & {"asyncpg", "pydantic", "sqlalchemy", "temporalio"} == set()


def _loaded_by(name: str) -> set[str]:
    """Return the modules that a new process has loaded after one import."""
    code = f"import sys, {name}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())
