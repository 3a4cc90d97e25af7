"""The charts pass helm's lint, and their generated files are up to date."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from .charts import (
    CHART,
    CONTEXTS,
    ENVIRONMENTS,
    OVERLAYS,
    ROOT,
    VALUES,
    WITH,
    built_platform,
    helm,
    options,
    to_set,
)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("context", CONTEXTS)
def test_the_chart_lints_with_the_values_of_every_context(context: str, environment: str) -> None:
    values = options([VALUES / context / f"{environment}.yaml"], to_set(context, environment))
    assert "0 chart(s) failed" in helm("lint", "--strict", CHART, *values)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_chart_lints_with_every_overlay(overlay: str) -> None:
    values = options([VALUES / "orders" / "prod.yaml", WITH / f"{overlay}.yaml"], to_set("orders"))
    assert "0 chart(s) failed" in helm("lint", "--strict", CHART, *values)


def test_the_platform_lints(tmp_path: Path) -> None:
    chart = built_platform(tmp_path)
    values = options(values={"global.temporal.address": "temporal:7233"})
    assert "0 chart(s) failed" in helm("lint", "--strict", chart, *values)


def test_generated_files_are_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "helm" / "generate.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
