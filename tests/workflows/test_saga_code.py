"""Sandboxes load a saga's module as the process took it in."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from intent.workflows.saga_code import keep_code


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Yields the file of the module `kept_saga.story`, which the process has imported and keeps."""
    package = tmp_path / "kept_saga"
    package.mkdir()
    (package / "__init__.py").touch()
    story = package / "story.py"
    story.write_text("STEP = 'reserve'\nSEEN = []\n")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module("kept_saga.story")
    keep_code("kept_saga.story")
    yield story
    for name in ("kept_saga.story", "kept_saga"):
        sys.modules.pop(name, None)


def _as_a_sandbox_would(monkeypatch: pytest.MonkeyPatch) -> object:
    """Imports anew, as where the module has not been loaded yet."""
    for name in ("kept_saga.story", "kept_saga"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return importlib.import_module("kept_saga.story")


def test_a_file_that_changes_under_the_process_changes_no_saga_of_it(
    module: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module.write_text("STEP = 'ship'\n")
    loaded = _as_a_sandbox_would(monkeypatch)
    assert vars(loaded)["STEP"] == "reserve"
    assert vars(loaded)["__file__"] == str(module)


def test_each_load_has_a_state_of_its_own(module: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = (vars(_as_a_sandbox_would(monkeypatch)) for _ in range(2))
    first["SEEN"].append("an order")
    assert second["SEEN"] == []


def test_a_module_that_is_reloaded_is_read_again(module: Path) -> None:
    module.write_text("STEP = 'ship'\n")
    importlib.invalidate_caches()
    reloaded = importlib.reload(sys.modules["kept_saga.story"])
    assert vars(reloaded)["STEP"] == "ship"
