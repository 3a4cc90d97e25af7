"""The clusters for real installations of the charts: that of `cluster`, or one that KUBECONFIG names."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import pytest
import yaml
from intent.dev.platform import LocalPlatform

from .charts import CHART, KUBECTL, ROOT, VALUES, Manifest, helm, options
from .cluster import Cluster

_WAIT = "120s"


@dataclass
class Site:
    """A namespace of a cluster, with PostgreSQL, Temporal and a Secret that leads to the one.

    Attributes:
        namespace: The namespace.
        environment: What leads helm and kubectl to the cluster.
        values: What every installation sets there.
        double: The cluster, where it is the double.
    """

    namespace: str
    environment: Mapping[str, str]
    values: Mapping[str, str]
    double: Cluster | None = field(default=None, repr=False)

    def install(self, verb: str, release: str, **values: str) -> str:
        """Install or upgrade orders and wait until it is ready.

        Args:
            verb: ``install`` or ``upgrade``.
            release: The release.
            values: What to set besides, with ``__`` for dots.

        Raises:
            HelmRefused: Helm ended with an error.
        """
        given = {**self.values, **{name.replace("__", "."): value for name, value in values.items()}}
        return self.helm(
            verb, release, CHART, *options([VALUES / "orders" / "staging.yaml"], given), "--wait"
        )

    def helm(self, verb: str, *arguments: str | Path) -> str:
        """Run helm in the namespace."""
        patience = () if verb in {"get", "history", "list"} else ("--timeout", _WAIT)
        return helm(verb, *arguments, "--namespace", self.namespace, *patience, environment=self.environment)

    def kubectl(self, *arguments: str, given: str = "") -> str:
        """Run kubectl in the namespace and return what it prints; empty when it fails."""
        done = subprocess.run(
            [KUBECTL, "--namespace", self.namespace, *arguments],
            env={**os.environ, **self.environment},
            input=given,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout

    def get(self, kind: str, name: str) -> Manifest | None:
        """Return an object, or None."""
        text = self.kubectl("get", kind, name, "--output", "json", "--ignore-not-found")
        found: Manifest | None = json.loads(text) if text.strip() else None
        return found

    def names(self, kind: str) -> set[str]:
        """Return the names of all objects of a kind."""
        listed = json.loads(self.kubectl("get", kind, "--output", "json"))
        return {one["metadata"]["name"] for one in listed["items"]}

    def logs(self) -> str:
        """Return the logs of the pods, for a test that failed."""
        return self.double.logs() if self.double else self.kubectl("describe", "pods")


def _urls(dsn: str, context: str) -> dict[str, str]:
    """Return the data of a context's Secret, from the administrator's URL."""
    host = dsn.rpartition("@")[2]
    roles = {
        role: f"postgresql://{context}_{role}:{role}-word@{host}" for role in ("service", "query", "owner")
    }
    return {f"{role}-url": url for role, url in {**roles, "admin": dsn}.items()}


@contextmanager
def double_site(folder: Path, contexts: Sequence[str] = ("orders",)) -> Iterator[Site]:
    """Run the double with real PostgreSQL and Temporal beside it, and a Secret for each context."""
    folder.mkdir(exist_ok=True)
    with LocalPlatform(durable=False, keep_workflows=False) as platform, Cluster(folder) as cluster:
        for context in contexts:
            cluster.add_secret("shop", f"{context}-database", _urls(platform.postgres.dsn, context))
        cluster.add_secret("shop", "wrong-database", {"owner-url": "postgresql://nobody@127.0.0.1:1/nothing"})
        values = {
            "database.existingSecret": "orders-database",
            "migrate.provision": "true",
            "temporal.address": platform.temporal.address,
            "temporal.namespace": f"shop-{uuid4().hex[:8]}",
        }
        # The clients that keep releases in Secrets speak a binary format, which the double does not read.
        environment = {
            **cluster.environment,
            "HELM_DRIVER": "sql",
            "HELM_DRIVER_SQL_CONNECTION_STRING": f"{platform.postgres.dsn}?sslmode=disable",
        }
        yield Site("shop", environment, values, cluster)


@contextmanager
def real_site() -> Iterator[Site]:
    """Make a namespace, with the PostgreSQL and the Temporal of k8s/dev, on the cluster of KUBECONFIG.

    The image that INTENT_TEST_IMAGE names must be there to be pulled, e.g. ``intent/orders:dev`` after
    ``kind load docker-image``. Skips where there is no cluster.
    """
    environment = {"KUBECONFIG": os.environ.get("KUBECONFIG", "")}
    image = os.environ.get("INTENT_TEST_IMAGE", "")
    if not environment["KUBECONFIG"] or not reachable():
        pytest.skip("KUBECONFIG names no cluster that answers")
    if not image:
        pytest.skip("INTENT_TEST_IMAGE names no image of orders that the cluster can run")
    repository, _, tag = image.rpartition(":")
    values = {
        "image.repository": repository,
        "image.tag": tag,
        "database.existingSecret": "orders-database",
        "migrate.provision": "true",
        "temporal.address": "temporal.intent-dev:7233",
        "temporal.namespace": f"shop-{uuid4().hex[:8]}",
    }
    site = Site(f"intent-test-{uuid4().hex[:8]}", environment, values)
    site.kubectl("apply", "--server-side", "--filename", str(ROOT / "k8s" / "namespaces.yaml"))
    site.kubectl("apply", "--server-side", "--filename", str(ROOT / "k8s" / "dev"))
    site.kubectl("create", "namespace", site.namespace)
    site.kubectl("label", "namespace", site.namespace, "pod-security.kubernetes.io/enforce=restricted")
    database = "postgresql://postgres:postgres@postgres.intent-dev:5432/intent"
    for name, data in {
        "orders-database": _urls(database, "orders"),
        "wrong-database": {"owner-url": "postgresql://nobody@postgres.intent-dev:1/nothing"},
    }.items():
        site.kubectl("apply", "--filename", "-", given=yaml.safe_dump(_secret(name, data)))
    try:
        yield site
    finally:
        site.kubectl("delete", "namespace", site.namespace, "--wait=false")


def reachable() -> bool:
    """Return whether KUBECONFIG names a cluster that answers."""
    asked = [str(KUBECTL), "version", "--request-timeout", "5s"]
    return (
        bool(os.environ.get("KUBECONFIG"))
        and not subprocess.run(asked, capture_output=True, check=False).returncode
    )


def _secret(name: str, data: Mapping[str, str]) -> Manifest:
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": encoded}
