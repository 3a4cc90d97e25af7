"""`intent new context`: what it refuses, what it writes, and that the result works as it is."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

import pytest
from intent.cli.scaffold import names
from intent.cli.scaffold.names import ScaffoldNames
from intent.cli.scaffold.plan import ScaffoldPlan
from intent.cli.scaffold.workspace import Workspace

from .running import Done, environment, intent

ROOT = Path(__file__).parents[2]
ELSEWHERE = "chart_lints or import_upwards or neighbours_in_a_layer or example_runs or pure_part_loads"
"""Tests whose outcome a new context does not change, save those that are named after it."""
INSTALLED = {entry.name for entry in entry_points(group="intent.contexts")}
"""The contexts of this environment; a new one may be among them, so the names below are unlikely ones."""


@dataclass(frozen=True)
class Copy:
    """A copy of the repository with a new context, installed on its own."""

    root: Path

    def run(self, *arguments: str) -> str:
        """Run a program to its end and return its output.

        Raises:
            AssertionError: It failed.
        """
        done = subprocess.run(
            arguments,
            cwd=self.root,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{shlex.join(arguments)}\n{done.stdout}"
        return done.stdout

    def tool(self, name: str, *arguments: str) -> str:
        """Run a program that is installed in the copy."""
        return self.run(str(self.root / ".venv" / "bin" / name), *arguments)


def _copied(target: Path) -> Path:
    """Copy the files that git would take, with their times, so that make has little to do."""
    listed = subprocess.run(
        ["git", "ls-files", "-coz", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    return target


def _take_compiled(target: Path) -> None:
    """Take what Python has compiled here, which would take most of the time there."""
    for folder in (".venv", "contexts", "proto", "shared", "tests"):
        for compiled in (ROOT / folder).rglob("__pycache__/*.pyc"):
            place = target / compiled.relative_to(ROOT)
            if place.parents[1].is_dir() and not place.exists():
                place.parent.mkdir(exist_ok=True)
                # Another process may be replacing it.
                with suppress(FileNotFoundError):
                    shutil.copy2(compiled, place)


def _new(root: Path, *arguments: str) -> Done:
    return intent("new", "context", *arguments, cwd=root)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Copy]:
    """Return a copy with the context `specimen_jars`, installed by `make install`."""
    copied = Copy(_copied(tmp_path_factory.mktemp("copy")))
    # make uses the uv that is installed here already.
    os.symlink(ROOT / ".tools", copied.root / ".tools")
    done = _new(copied.root, "specimen_jars")
    assert done.code == 0, done.err
    copied.run("git", "init", "--quiet")
    copied.run("git", "add", "--all")
    copied.run("make", "install")
    _take_compiled(copied.root)
    yield copied
    shutil.rmtree(copied.root)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """Return a folder with the part of the repository that a new context changes."""
    for path in (".importlinter", "pyproject.toml", "proto/buf.yaml", "requirements/intent.txt"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / path, tmp_path / path)
    for folder in ("contexts/orders", "helm/values/orders", "k8s/dev"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    return tmp_path


def _texts(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): path.read_text()
        for path in root.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_its_tests_and_those_of_the_repository_pass(copy: Copy) -> None:
    paths = ("contexts/specimen_jars", "tests/repository", "tests/deploy/test_lint.py")
    assert " passed" in copy.tool("pytest", "-q", *paths, "-k", f"specimen_jars or not ({ELSEWHERE})")


def test_it_passes_types_style_and_import_rules(copy: Copy) -> None:
    copy.tool("ruff", "check", "contexts/specimen_jars")
    copy.tool("ruff", "format", "--check", "contexts/specimen_jars")
    copy.tool("mypy", "contexts/specimen_jars")
    assert "Contexts do not know each other KEPT" in copy.tool("lint-imports", "--no-logo", "--no-cache")


def test_its_contracts_lint_and_break_nothing(copy: Copy) -> None:
    image = str(copy.root / "contracts.binpb")
    copy.tool("python", "proto/generate.py", "--image", image)
    copy.tool("buf", "lint", image, "--config", "proto/buf.yaml")
    copy.tool("buf", "breaking", image, "--against", "proto/baseline.binpb", "--config", "proto/buf.yaml")


def test_it_answers_its_first_command_and_query(copy: Copy) -> None:
    card = '{"specimen_jar_id": "specimen-jar-1"}'
    named = '{"specimen_jar_id": "specimen-jar-1", "name": "first"}'
    calls = ("specimen_jars.v1.RegisterSpecimenJar", named, "specimen_jars.v1.GetSpecimenJar", card)
    output = copy.tool("python", "-m", "tests.cli.answering", "specimen_jars", *calls)
    sent, _, answered = output.partition("{")
    assert sent.startswith(
        "SpecimenJar/specimen-jar-1 is at version 1, position 1\n  specimen_jars.v1.SpecimenJarRegistered"
    )
    assert json.loads("{" + answered) == json.loads(named)


def test_it_prints_what_it_wrote_and_what_to_do_next(workspace: Path) -> None:
    before = _texts(workspace)
    done = _new(workspace, "specimens", "--aggregate", "Account")
    assert done.code == 0, done.err
    after = _texts(workspace)
    assert {f"  wrote {path}" for path in after.keys() - before.keys()} == set(_lines(done, "wrote"))
    changed = {path for path in before if before[path] != after[path]}
    assert {f"  changed {path}" for path in changed} == set(_lines(done, "changed"))
    assert (
        """intent send specimens.v1.RegisterAccount '{"account_id": "account-1", "name": "first"}'"""
        in done.out
    )
    assert "def register(self, command: RegisterAccount) -> AccountRegistered:" in "".join(after.values())


def _lines(done: Done, verb: str) -> list[str]:
    return [line for line in done.out.splitlines() if line.startswith(f"  {verb} ")]


def test_a_dry_run_writes_nothing(workspace: Path) -> None:
    before = _texts(workspace)
    done = _new(workspace, "specimens", "--dry-run")
    assert "  would write proto/specimens/v1/specimens.proto" in done.out
    assert "  would change .importlinter" in done.out
    assert "Next:" not in done.out
    assert _texts(workspace) == before


def test_it_is_deployed_as_its_neighbours_are_under_names_that_kubernetes_takes(workspace: Path) -> None:
    for path in (workspace / "helm" / "values" / "orders").iterdir():
        path.write_text("context: orders\nimage: intent/orders\nsecret: orders-database\nnot: reorders\n")
    assert _new(workspace, "specimen_jars").code == 0
    new = workspace / "helm" / "values" / "specimen_jars"
    neighbour = workspace / "helm" / "values" / "orders"
    assert [path.name for path in new.iterdir()] == [path.name for path in neighbour.iterdir()]
    assert (new / "prod.yaml").read_text() == (
        "context: specimen_jars\nimage: intent/specimen_jars\nsecret: specimen-jars-database\nnot: reorders\n"
    )
    databases = (workspace / "k8s" / "dev" / "databases.yaml").read_text()
    assert databases.count("name: specimen-jars-database\n") == 1
    assert "app.kubernetes.io/name: specimen-jars\n" in databases
    assert "service-url: postgresql://specimen_jars_service:" in databases
    facts = (workspace / "helm" / "context" / "contexts" / "specimen_jars.yaml").read_text()
    assert "queues: [specimen_jars-commands]" in facts
    assert "body: {specimen_jar_id: $id, name: helm-test}" in facts


def test_without_charts_it_writes_none(workspace: Path) -> None:
    shutil.rmtree(workspace / "helm")
    shutil.rmtree(workspace / "k8s")
    done = _new(workspace, "specimens")
    assert done.code == 0, done.err
    assert "helm" not in done.out
    assert "k8s" not in done.out


def test_it_is_run_from_any_folder_of_the_repository(workspace: Path) -> None:
    assert _new(workspace / "contexts" / "orders", "specimens").code == 0
    assert (workspace / "contexts" / "specimens" / "specimens" / "context.py").exists()


def test_outside_of_a_repository_it_says_where_to_go(tmp_path: Path) -> None:
    done = _new(tmp_path, "specimens")
    assert done.code == 2
    assert "is in no workspace of Intent: change into the repository" in done.err


def test_a_second_context_of_the_same_name_is_refused(workspace: Path) -> None:
    assert _new(workspace, "specimens").code == 0
    done = _new(workspace, "specimens")
    assert done.code == 2
    assert "there is a context specimens already, in contexts/specimens; " in done.err


@pytest.mark.parametrize(
    "path", ["proto/specimens/old.proto", "contexts/specimens/notes.txt", "specimens/a.txt"]
)
def test_a_folder_in_the_way_is_left_alone(workspace: Path, path: str) -> None:
    (workspace / path).parent.mkdir(parents=True)
    (workspace / path).write_text("mine")
    before = _texts(workspace)
    done = _new(workspace, "specimens")
    assert done.code == 2
    assert f"{Path(path).parent} exists already" in done.err
    assert _texts(workspace) == before


def test_a_file_in_the_way_is_left_alone(workspace: Path) -> None:
    (workspace / "requirements" / "specimens.txt").write_text("mine")
    before = _texts(workspace)
    done = _new(workspace, "specimens")
    assert done.code == 2
    assert "requirements/specimens.txt exists already; nothing was written" in done.err
    assert _texts(workspace) == before


def test_a_file_that_no_longer_lists_contexts_is_named(workspace: Path) -> None:
    (workspace / ".importlinter").write_text("[importlinter]\nroot_packages =\n    orders\n")
    before = _texts(workspace)
    done = _new(workspace, "specimens")
    assert done.code == 2
    assert ".importlinter no longer has forbidden_modules of [importlinter:contract:platform]" in done.err
    assert _texts(workspace) == before


def test_everything_is_undone_if_a_file_cannot_be_written(workspace: Path) -> None:
    before = _texts(workspace)
    plan = ScaffoldPlan.of(Workspace(workspace), "specimens")
    # Between planning and writing somebody creates a folder where a file belongs.
    (workspace / "requirements" / "specimens.txt").mkdir()
    with pytest.raises(Exception, match=r"specimens\.txt cannot be written: .*; nothing was changed"):
        plan.write()
    (workspace / "requirements" / "specimens.txt").rmdir()
    assert _texts(workspace) == before
    assert not (workspace / "contexts" / "specimens").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Gift-Cards", "how about gift_cards?"),
        ("gift__cards", "how about gift_cards?"),
        ("2nd", "how about nd?"),
        ("ünder", "use lower-case letters and digits"),
        ("class", "a keyword of Python"),
        ("match", "a keyword of Python"),
        ("message", "a keyword of the proto language"),
        ("stream", "a keyword of the proto language"),
        ("v1", "how a version of a contract is named"),
        ("pg_cards", "a schema of PostgreSQL"),
        ("intent", "a package of the platform"),
        ("email", "a module of Python's library"),
        ("grpc", "an installed Python package"),
        ("docs", "docs exists already"),
        ("a" * 31, "it may have 30 letters"),
    ],
)
def test_an_unusable_name_is_refused_with_the_reason(workspace: Path, name: str, message: str) -> None:
    (workspace / "docs").mkdir()
    done = _new(workspace, name)
    assert done.code == 2
    assert message in done.err


@pytest.mark.parametrize(
    ("aggregate", "message"),
    [
        ("gift_card", "how about GiftCard?"),
        ("SKU", "how about Sku?"),
        ("Gift Card", "write it like Account or GiftCard"),
        ("Aggregate", "it has a meaning already"),
        ("SubscriptionAgreements", "at most 20 letters"),
    ],
)
def test_an_unusable_aggregate_is_refused(workspace: Path, aggregate: str, message: str) -> None:
    done = _new(workspace, "specimens", "-a", aggregate)
    assert done.code == 2
    assert message in done.err


def test_a_message_may_not_have_the_name_of_the_service(workspace: Path) -> None:
    done = _new(workspace, "account_state", "-a", "Account")
    assert "the state of the aggregate Account would have the name of the service AccountState" in done.err


@pytest.mark.parametrize(
    ("context", "aggregate"),
    [
        ("invoices", "Invoice"),
        ("gift_cards", "GiftCard"),
        ("deliveries", "Delivery"),
        ("addresses", "Address"),
        ("boxes", "Box"),
        ("loyalty", "Loyalty"),
        ("logistics", "Logistics"),
        ("bus", "Bus"),
    ],
)
def test_the_aggregate_is_named_after_the_context(
    monkeypatch: pytest.MonkeyPatch, context: str, aggregate: str
) -> None:
    monkeypatch.setattr(names, "find_spec", lambda name: None if name in INSTALLED else find_spec(name))
    assert ScaffoldNames.of(context).aggregate == aggregate


@pytest.mark.parametrize(
    ("context", "aggregate"),
    [("x", "X1b"), ("zz_top", "Zero"), ("a" * 30, "B" + "c" * 20), ("a_b_c", "AbCdEfGhIjKlMnOpQr")],
)
def test_whatever_the_names_the_code_is_styled(workspace: Path, context: str, aggregate: str) -> None:
    assert _new(workspace, context, "-a", aggregate).code == 0
    ruff = shutil.which("ruff", path=str(ROOT / ".venv" / "bin")) or "ruff"
    for check in (("check",), ("format", "--check")):
        done = subprocess.run(
            [ruff, *check, "--no-cache", "."], cwd=workspace, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout
