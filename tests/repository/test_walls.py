"""The walls between contexts and layers; every context and package has its place."""

from __future__ import annotations

import configparser
import re
import shutil
import tomllib
from pathlib import Path

import pytest

from .files import ROOT, lint_imports, tracked

CONTEXTS = sorted(path.parent.name for path in (ROOT / "contexts").glob("*/pyproject.toml"))


def _contracts() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / ".importlinter")
    return parser


@pytest.mark.parametrize("context", CONTEXTS)
def test_every_context_is_behind_the_walls(context: str) -> None:
    contracts = _contracts()
    assert context in contracts["importlinter"]["root_packages"].split()
    assert context in contracts["importlinter:contract:platform"]["forbidden_modules"].split()
    assert context in contracts["importlinter:contract:contexts"]["source_modules"].split()
    assert context in contracts["importlinter:contract:neighbours"]["modules"].split()


@pytest.mark.parametrize("context", CONTEXTS)
def test_a_context_depends_on_the_platform_only(context: str) -> None:
    project = tomllib.loads((ROOT / "contexts" / context / "pyproject.toml").read_text())["project"]
    assert {"intent", "intent-contracts"} <= set(project["dependencies"])
    others = {f"intent-{other}" for other in CONTEXTS if other != context}
    assert others.isdisjoint(project["dependencies"])
    assert context in project["entry-points"]["intent.contexts"]
    assert (ROOT / "requirements" / f"{context}.txt").exists()


def test_the_walls_hold() -> None:
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout


def test_a_context_that_reaches_for_the_database_is_refused(tmp_path: Path) -> None:
    """The linter must be able to fail: a copy of a context with a forbidden import."""
    shutil.copytree(ROOT / "contexts" / "orders" / "orders", tmp_path / "broken")
    (tmp_path / "broken" / "reaching.py").write_text("import asyncpg\n")
    rules = (ROOT / ".importlinter").read_text().replace("    orders\n", "    broken\n")
    (tmp_path / ".importlinter").write_text(rules)
    done = lint_imports(tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "broken.reaching -> asyncpg" in done.stdout


def test_what_an_author_declares_is_imported_from_one_module() -> None:
    folders = ("contexts", "docs", "shared/intent/cli/scaffold/templates")
    elsewhere = re.compile(r"from intent\.(?:sagas|model\.[\w.]+) import")
    deep = [
        f"{path.relative_to(ROOT)}: {found}"
        for path in tracked()
        if str(path.relative_to(ROOT)).startswith(folders)
        for found in elsewhere.findall(path.read_text())
    ]
    assert deep == [], "import it from intent.model"
