"""Sandboxes load a saga's module as the process has imported it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from intent.saga_host.code import keep_code


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Yields the file of a module `fulfilment`, which the process has imported and keeps.

    Each test has a package of its own: what is kept stays for the length of the process.
    """
    package = tmp_path / f"kept_{uuid4().hex}"
    package.mkdir()
    (package / "__init__.py").touch()
    file = package / "fulfilment.py"
    file.write_text("STEP = 'reserve'\nSEEN = []\n")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module(_name(file))
    keep_code(_name(file))
    yield file
    for name in (_name(file), package.name):
        sys.modules.pop(name, None)


def _name(file: Path) -> str:
    return f"{file.parent.name}.{file.stem}"


def _as_a_sandbox_would(file: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Import the module as where it has not been loaded yet; return what is in it."""
    for name in (_name(file), file.parent.name):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return vars(importlib.import_module(_name(file)))


def test_a_file_that_changes_under_a_process_does_not_change_its_sagas(
    module: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module.write_text("STEP = 'ship'\n")
    loaded = _as_a_sandbox_would(module, monkeypatch)
    assert loaded["STEP"] == "reserve"
    assert loaded["__file__"] == str(module)


def test_each_load_has_a_state_of_its_own(module: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = (_as_a_sandbox_would(module, monkeypatch) for _ in range(2))
    first["SEEN"].append("an order")
    assert second["SEEN"] == []


def test_a_module_that_is_reloaded_is_read_again(module: Path) -> None:
    module.write_text("STEP = 'ship'\n")
    importlib.invalidate_caches()
    reloaded = importlib.reload(sys.modules[_name(module)])
    assert vars(reloaded)["STEP"] == "ship"
