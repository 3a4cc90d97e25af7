"""The renders follow the rules of checkov, except those that are broken on purpose."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from .charts import CHART, CONTEXTS, ENVIRONMENTS, OVERLAYS, ROOT, render, template

CHECKOV = ROOT / ".tools" / "policies" / "bin" / "checkov"
ON_PURPOSE = {
    "CKV_K8S_11": "no limit of CPU: a process that is throttled answers late and loses its leases",
    "CKV_K8S_15": "images are pulled once: their tags do not move",
    "CKV_K8S_43": "whoever installs may set image.digest; the values name tags",
}
IN_PLACES = {
    "CKV_K8S_8": ("Pod.", "helm test ends by itself"),
    "CKV_K8S_9": ("Pod.", "helm test serves nobody"),
    "CKV_K8S_22": ("-dev", "in development code is changed in running pods"),
}


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("renders")
    for context in CONTEXTS:
        for environment in ENVIRONMENTS:
            (folder / f"{context}-{environment}.yaml").write_text(render(context, environment))
    for overlay in OVERLAYS:
        (folder / f"orders-with-{overlay}.yaml").write_text(render("orders", "prod", overlay))
    everything = template("shipping", [CHART / "ci" / "everything-values.yaml"])
    (folder / "everything.yaml").write_text(everything)
    return _checked(folder)


def _checked(folder: Path) -> list[dict[str, Any]]:
    if not CHECKOV.exists():
        raise FileNotFoundError("checkov is not there; run make tools")
    done = subprocess.run(
        [CHECKOV, "--framework", "kubernetes", "--directory", folder, "--output", "json", "--quiet"],
        capture_output=True,
        text=True,
        check=False,
    )
    report = json.loads(done.stdout)
    assert report["summary"]["passed"] > 1000, done.stderr
    assert report["summary"]["parsing_errors"] == 0
    failed: list[dict[str, Any]] = report["results"]["failed_checks"]
    return failed


def _allowed(check: dict[str, Any]) -> bool:
    place, _ = IN_PLACES.get(check["check_id"], ("nowhere", ""))
    return check["check_id"] in ON_PURPOSE or place in f"{check['resource']} {check['file_path']}"


def test_no_rule_is_broken_but_on_purpose(broken: list[dict[str, Any]]) -> None:
    found = {
        f"{check['check_id']} {check['check_name']}: {check['resource']} in {check['file_path']}"
        for check in broken
        if not _allowed(check)
    }
    assert found == set()


def test_every_exception_is_needed(broken: list[dict[str, Any]]) -> None:
    assert {check["check_id"] for check in broken} >= ON_PURPOSE.keys() | IN_PLACES.keys()
