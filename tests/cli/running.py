"""Run the command line as a person does."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import typer
from intent.cli.app import app, main

ROOT = Path(__file__).parents[2]
COMMAND = typer.main.get_command(app)
"""Made once: for most commands, to make it takes longer than to run."""
ORDER: dict[str, Any] = {
    "order_id": "o-1",
    "customer_id": "ann",
    "lines": [
        {
            "line_id": "l-1",
            "sku": "tea",
            "quantity": 2,
            "unit_price": {"minor_units": 350, "currency": "EUR"},
        }
    ],
}


@dataclass(frozen=True, slots=True)
class Done:
    """The outcome of a command.

    Attributes:
        code: Its exit code.
        out: Its standard output.
        err: Its standard error.
    """

    code: int
    out: str
    err: str


def environment(**variables: str) -> dict[str, str]:
    """Return the environment of a command, with only these variables of Intent, and nobody's profiles."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("INTENT_", "TEMPORAL_"))
    }
    nobody = {"XDG_CONFIG_HOME": "/nonexistent/config", "XDG_STATE_HOME": "/nonexistent/state"}
    return {**kept, "COLUMNS": "160", "NO_COLOR": "1", **nobody, **variables}


def intent(
    *arguments: str, stdin: str = "", env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Done:
    """Run a command to its end, in this process: starting Python would take longer than the command."""
    out, err, before = io.StringIO(), io.StringIO(), Path.cwd()
    with (
        mock.patch.dict(os.environ, env or environment(), clear=True),
        mock.patch("intent.cli.app.app", COMMAND),
        mock.patch.object(sys, "argv", ["intent", *arguments]),
        mock.patch.object(sys, "stdin", io.StringIO(stdin)),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        contextlib.chdir(cwd or before),
    ):
        try:
            main()
        except SystemExit as end:
            return Done(int(end.code or 0), out.getvalue(), err.getvalue())
    raise AssertionError("the command line always ends the process")


def process(*arguments: str, env: Mapping[str, str] | None = None) -> Done:
    """Run a command as a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "intent.cli", *arguments],
        capture_output=True,
        text=True,
        env=env or environment(),
        timeout=120,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def demo(folder: Path, *arguments: str) -> Done:
    """Run `make demo` on the data of an `intent dev`."""
    done = subprocess.run(
        [sys.executable, "-m", "demo", "--data", str(folder), *arguments],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def wait_until(ready: Callable[[], object], seconds: float, what: str) -> None:
    """Wait until something holds.

    Raises:
        AssertionError: It does not hold in time.
    """
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end, f"{what} within {seconds:.0f} s"
        time.sleep(0.05)


def lives(pid: int) -> bool:
    """Return whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() != b""
    except OSError:
        return False
