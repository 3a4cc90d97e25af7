"""The charts, rendered by the real helm."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
HELM = ROOT / ".tools" / "bin" / "helm"
KUBECTL = ROOT / ".tools" / "bin" / "kubectl"
CHART = ROOT / "helm" / "context"
PLATFORM = ROOT / "helm" / "platform"
VALUES = ROOT / "helm" / "values"
WITH = VALUES / "with"
ENVIRONMENTS = ("dev", "staging", "prod")
CONTEXTS = tuple(sorted(path.name for path in VALUES.iterdir() if (path / "prod.yaml").exists()))
OVERLAYS = tuple(sorted(path.stem for path in WITH.glob("*.yaml")))
# The one in C is ten times as fast.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Manifest = dict[str, Any]


def release_of(context: str) -> str:
    """Return the name under which a context is released: Kubernetes takes no underscores."""
    return context.replace("_", "-")


TOKENS = {
    "identity.issuers[0].issuer": "https://login.example.com/realms/shop",
    "identity.audience[0]": "shop",
}


def to_set(context: str, environment: str = "prod") -> dict[str, str]:
    """Return the values that the files of an environment leave to the installer."""
    secrets = {
        "tls.existingSecret": f"{release_of(context)}-tls",
        "temporal.signing.existingSecret": "temporal-keys",
    }
    production = {**secrets, **TOKENS} if environment == "prod" else {}
    return {
        **production,
        "image.registry": "registry.example.com/team",
        "database.existingSecret": f"{release_of(context)}-database",
        "temporal.address": "temporal-frontend.temporal:7233",
    }


def helm(*arguments: str | Path, environment: Mapping[str, str] | None = None) -> str:
    """Run helm and return what it prints.

    Raises:
        HelmRefused: It ended with an error.
    """
    if not HELM.exists():
        raise FileNotFoundError("helm is not there; run make tools")
    done = subprocess.run(
        [HELM, *map(str, arguments)],
        env={**os.environ, "HELM_NO_COLOR": "1", **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise HelmRefused(done.stderr + done.stdout)
    return done.stdout


class HelmRefused(Exception):
    """Helm ended with an error; its text is what it printed."""


def options(files: Sequence[Path] = (), values: Mapping[str, str] | None = None) -> list[str]:
    """Return values as helm's options."""
    given = [part for file in files for part in ("-f", str(file))]
    return [
        *given,
        *(part for name, value in (values or {}).items() for part in ("--set", f"{name}={value}")),
    ]


def template(
    release: str,
    files: Sequence[Path] = (),
    values: Mapping[str, str] | None = None,
    *,
    chart: Path = CHART,
    namespace: str = "shop",
    kubernetes: str = "1.37.0",
) -> str:
    """Return a chart rendered, with its tests."""
    return helm(
        *("template", release, chart, "--namespace", namespace, "--kube-version", kubernetes),
        *options(files, values),
    )


def objects(text: str) -> list[Manifest]:
    """Return the objects of a render."""
    return [manifest for manifest in yaml.load_all(text, Loader=_LOADER) if manifest]


@cache
def render(context: str, environment: str = "prod", *overlays: str) -> str:
    """Return a context rendered for an environment, with overlays of ``values/with``."""
    files = [VALUES / context / f"{environment}.yaml", *(WITH / f"{name}.yaml" for name in overlays)]
    return template(release_of(context), files, {} if environment == "dev" else to_set(context, environment))


def rendered(context: str, environment: str = "prod", *overlays: str) -> list[Manifest]:
    """Return the objects of `render`, as a copy for the caller."""
    return objects(render(context, environment, *overlays))


def built_platform(folder: Path) -> Path:
    """Return a copy of the platform chart with its dependencies in it."""
    for chart in (CHART, PLATFORM):
        shutil.copytree(chart, folder / chart.name, ignore=shutil.ignore_patterns("charts", "Chart.lock"))
    helm("dependency", "build", folder / PLATFORM.name)
    return folder / PLATFORM.name


def of_kind(manifests: Sequence[Manifest], *kinds: str) -> list[Manifest]:
    """Return the objects of some kinds."""
    return [manifest for manifest in manifests if manifest["kind"] in kinds]


def pod_of(manifest: Manifest) -> Manifest:
    """Return the pod's template of a workload, or the pod itself: metadata and spec."""
    if manifest["kind"] == "Pod":
        return manifest
    template: Manifest = manifest["spec"]["template"]
    return template


def workloads(manifests: Sequence[Manifest]) -> list[Manifest]:
    """Return everything that runs pods."""
    return of_kind(manifests, "Deployment", "Job", "Pod", "WorkerDeployment")


def hooks_of(manifest: Manifest) -> set[str]:
    """Return the events of helm at which an object is created; none for objects of the release."""
    events = manifest["metadata"].get("annotations", {}).get("helm.sh/hook", "")
    return {event for event in events.split(",") if event}
