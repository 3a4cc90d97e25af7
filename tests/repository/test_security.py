"""The page about security names tests that exist."""

from __future__ import annotations

import ast
import re

from .files import ROOT

PAGE = ROOT / "docs" / "security.md"


def _functions(path: str) -> set[str]:
    tree = ast.parse((ROOT / "tests" / path).read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_threat_has_a_test() -> None:
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    threats = [line for line in rows if not line.startswith("| threat ")]
    assert len(threats) > 25
    for line in threats:
        named = re.findall(r"`tests/([a-z_/]+\.py)::(test_\w+)`", line)
        assert named, line
        for path, name in named:
            assert name in _functions(path), f"{path} has no {name}"
