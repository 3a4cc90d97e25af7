"""What the images are made of is written down, and under licences that somebody has looked at."""

from __future__ import annotations

import json
import os
import re
import subprocess
from typing import Any

from .charts import CONTEXTS, ROOT


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a target as a person does; this may be a test of `make test` itself."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(
        ["make", *arguments], cwd=ROOT, env=kept, capture_output=True, text=True, check=False
    )


def pinned(name: str) -> dict[str, str]:
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    return dict(re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", text, re.MULTILINE))


def test_every_image_and_the_workspace_have_a_bill_of_materials() -> None:
    done = make("sbom", "VALIDATE=--no-validate")
    assert done.returncode == 0, done.stderr
    names = {context: context for context in CONTEXTS} | {"workspace": "dev"}
    for name, pins in names.items():
        bill: dict[str, Any] = json.loads((ROOT / "build" / "sbom" / f"{name}.cdx.json").read_text())
        assert {part["name"]: part["version"] for part in bill["components"]} == pinned(pins)
        for part in bill["components"]:
            assert any(reference.get("hashes") for reference in part["externalReferences"]), part["name"]


def test_what_is_shipped_is_under_known_licences() -> None:
    done = make("licences")
    assert done.returncode == 0, done.stderr
    assert "asyncpg" in done.stdout


def test_a_licence_that_nobody_has_looked_at_is_named() -> None:
    done = make("licences", "LICENCES=MIT")
    assert done.returncode
    assert re.search(r"license .* not in allow-only licenses .* for package \w+", done.stderr), done.stderr
