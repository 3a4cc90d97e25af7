"""Rules for the tracked files themselves."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from .files import ROOT, tracked

_LONGEST_MODULE = 400
_LONGEST_FUNCTION = 50
_WRITTEN_BY_PROGRAMS = ("tests/deploy/golden/", "tests/replay/histories/", "requirements/")
# Written in parts, so that this file names none of them.
_HOSTS = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("docker", "io"),
        ("ghcr", "io"),
        ("quay", "io"),
        ("gcr", "io"),
        ("pkg", "dev"),
        ("github", "com"),
        ("gitlab", "com"),
        ("bitbucket", "org"),
        ("crates", "io"),
        ("buf", "build"),
        ("debian", "org"),
        ("anaconda", "org"),
    )
]


def _texts() -> Iterator[tuple[Path, str]]:
    for path in tracked():
        data = path.read_bytes()
        if b"\0" not in data:
            yield path.relative_to(ROOT), data.decode()


def _modules() -> Iterator[tuple[Path, str, ast.Module]]:
    for path, text in _texts():
        if path.suffix == ".py":
            yield path, text, ast.parse(text)


def test_no_registry_or_hosting_host_is_named() -> None:
    named = [f"{path}: {host}" for path, text in _texts() for host in _HOSTS if host in text]
    assert named == []


def test_no_path_of_one_machine_is_named() -> None:
    of_one_machine = re.compile(r"(?<![\w./-])/(?:home|root|Users|" + "work" + r")/")
    assert [str(path) for path, text in _texts() if of_one_machine.search(text)] == []


def test_no_lock_file_or_generated_code_is_tracked() -> None:
    names = [str(path.relative_to(ROOT)) for path in tracked()]
    assert [name for name in names if name.endswith(("uv.lock", "_pb2.py", "_pb2.pyi", "_pb2_grpc.py"))] == []


def test_every_pin_has_a_hash() -> None:
    for path in sorted((ROOT / "requirements").glob("*.txt")):
        pins = re.split(r"\n(?=\S)", path.read_text())
        naked = [pin.splitlines()[0] for pin in pins if "==" in pin and "--hash=sha256:" not in pin]
        assert naked == [], path.name


def test_modules_and_functions_stay_small() -> None:
    large = []
    for path, text, tree in _modules():
        if text.count("\n") > _LONGEST_MODULE:
            large.append(f"{path} has {text.count(chr(10))} lines")
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1 - _docstring_lines(node)
                if lines > _LONGEST_FUNCTION and not _declares_options(node):
                    large.append(f"{path}:{node.lineno} {node.name} has {lines} lines")
    assert large == []


def _docstring_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return len((ast.get_docstring(node) or "").splitlines())


def _declares_options(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Return whether a function is long only because of the command-line options that it declares."""
    body = (node.end_lineno or node.lineno) - node.body[0].lineno + 1
    return len(node.args.args) > 8 and body <= _LONGEST_FUNCTION


@pytest.mark.parametrize("name", ["dev", "demo", "test", "bench", "lint", "proto", "clean", "help"])
def test_make_offers_what_the_readme_promises(name: str) -> None:
    assert re.search(rf"^{name}:.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_ci_runs_make_test() -> None:
    run = ROOT / ".ci" / "run"
    assert run.stat().st_mode & 0o111
    assert run.read_text().rstrip().endswith("exec make test")


def test_editors_and_the_linter_agree_on_the_length_of_a_line() -> None:
    said = re.search(r"^max_line_length = (\d+)$", (ROOT / ".editorconfig").read_text(), re.MULTILINE)
    assert said is not None
    assert int(said[1]) == tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["line-length"]


def test_texts_are_as_editors_leave_them() -> None:
    """Without blanks at the end of a line, and with an end of the last line."""
    untidy = [str(path) for path, text in _texts() if re.search(r"[ \t\r]$", text, re.MULTILINE)]
    unended = [str(path) for path, text in _texts() if text and not text.endswith("\n")]
    assert [path for path in (*untidy, *unended) if not path.startswith(_WRITTEN_BY_PROGRAMS)] == []
