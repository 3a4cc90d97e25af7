"""The scripts of Tilt's buttons, on what `intent dev` runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from .conftest import Dev
from .running import environment

ROOT = Path(__file__).parents[2]


def _script(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "tilt" / name, *arguments],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=300,
        check=False,
    )


def test_the_check_executes_a_command_in_each_context(dev: Dev) -> None:
    contexts = sorted(dev.state.contexts)
    done = _script("check.py", "--data", str(dev.folder), *contexts)
    assert done.returncode == 0, done.stderr
    executed = [line.split()[0] for line in done.stdout.splitlines() if " executed its command" in line]
    assert executed == contexts


def test_a_button_rebuilds_every_projection_of_a_context(dev: Dev) -> None:
    done = _script("rebuild.py", "--data", str(dev.folder), "orders")
    assert done.returncode == 0, done.stderr
    names = {line.split()[0] for line in done.stdout.splitlines() if " is rebuilt up to position " in line}
    assert {"OrderViews", "OrderSummaries"} <= names


def test_a_context_that_does_not_run_is_reported(tmp_path: Path) -> None:
    assert _script("check.py", "--data", str(tmp_path), "orders").returncode == 1
    assert "orders does not run" in _script("rebuild.py", "--data", str(tmp_path), "orders").stderr
