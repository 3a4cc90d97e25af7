"""The oldest and the newest supported server accept every object that the charts render."""

from __future__ import annotations

from pathlib import Path

import pytest

from .charts import (
    CHART,
    CONTEXTS,
    ENVIRONMENTS,
    OVERLAYS,
    HelmRefused,
    Manifest,
    built_platform,
    objects,
    pod_of,
    rendered,
    template,
    workloads,
)
from .kubernetes import NEWEST, OLDEST, problems
from .restricted import violations

CASES: list[tuple[str, str, tuple[str, ...]]] = [
    (context, environment, ()) for context in CONTEXTS for environment in ENVIRONMENTS
]
CASES += [("orders", "prod", (overlay,)) for overlay in OVERLAYS]


def _taken(manifests: list[Manifest]) -> None:
    found = [
        problem for version in (OLDEST, NEWEST) for one in manifests for problem in problems(one, version)
    ]
    for workload in workloads(manifests):
        spec = pod_of(workload)["spec"]
        found += [f"{workload['metadata']['name']}: {problem}" for problem in violations(spec)]
    names = [(one["apiVersion"], one["kind"], one["metadata"]["name"]) for one in manifests]
    found += [f"{name} is rendered twice" for name in set(names) if names.count(name) > 1]
    assert found == []


@pytest.mark.parametrize(("context", "environment", "overlays"), CASES)
def test_a_server_takes_every_object(context: str, environment: str, overlays: tuple[str, ...]) -> None:
    _taken(rendered(context, environment, *overlays))


def test_a_server_takes_everything_at_once() -> None:
    _taken(
        objects(
            template("a-release-with-a-rather-long-name-indeed", [CHART / "ci" / "everything-values.yaml"])
        )
    )


def test_a_server_takes_the_platform(tmp_path: Path) -> None:
    values = {"global.temporal.address": "temporal:7233"}
    _taken(objects(template("intent", values=values, chart=built_platform(tmp_path))))


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_an_environment_needs_nothing_but_kubernetes(environment: str) -> None:
    custom = ("monitoring.coreos.com", "keda.sh", "temporal.io")
    assert [one for one in rendered("orders", environment) if one["apiVersion"].startswith(custom)] == []


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_the_chart_admits_the_versions_that_it_is_checked_against(version: str) -> None:
    assert template("orders", [CHART / "ci" / "minimal-values.yaml"], kubernetes=f"{version}.0")


def test_the_chart_refuses_older_ones() -> None:
    with pytest.raises(HelmRefused, match="incompatible with Kubernetes"):
        template("orders", [CHART / "ci" / "minimal-values.yaml"], kubernetes="1.31.9")


def test_a_large_number_of_a_file_stays_whole(tmp_path: Path) -> None:
    file = tmp_path / "values.yaml"
    file.write_text("temporalSetup: {retentionDays: 3650000}\nsettings: {INTENT_LANE_MAX_BYTES: 67108864}\n")
    text = template("orders", [CHART / "ci" / "minimal-values.yaml", file])
    assert '"--retention-days","3650000"' in text
    assert '"67108864"' in text
    assert "e+0" not in text
