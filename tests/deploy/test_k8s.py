"""What is in k8s/: a server would take it, and the values for development lead to it."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
import yaml

from .charts import CONTEXTS, ROOT, Manifest, objects, of_kind, pod_of, release_of, rendered, workloads
from .kubernetes import NEWEST, OLDEST, problems
from .restricted import violations

K8S = ROOT / "k8s"
FILES = [K8S / "namespaces.yaml", *sorted((K8S / "dev").glob("*.yaml"))]


@pytest.fixture(scope="module")
def manifests() -> list[Manifest]:
    return [one for path in FILES for one in objects(path.read_text())]


def _named(manifests: list[Manifest], kind: str, name: str) -> Manifest:
    return next(one for one in of_kind(manifests, kind) if one["metadata"]["name"] == name)


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_a_server_takes_every_object(manifests: list[Manifest], version: str) -> None:
    assert [problem for one in manifests for problem in problems(one, version)] == []


def test_the_namespaces_are_restricted_and_their_pods_keep_to_it(manifests: list[Manifest]) -> None:
    for namespace in of_kind(manifests, "Namespace"):
        assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    running = [*workloads(manifests), *of_kind(manifests, "StatefulSet")]
    assert {one["metadata"]["name"] for one in running} == {"postgres", "temporal"}
    assert [problem for one in running for problem in violations(pod_of(one)["spec"])] == []


def test_services_lead_to_ports_that_are_there(manifests: list[Manifest]) -> None:
    running = [*workloads(manifests), *of_kind(manifests, "StatefulSet")]
    for service in of_kind(manifests, "Service"):
        selector = service["spec"]["selector"].items()
        (chosen,) = [one for one in running if selector <= pod_of(one)["metadata"]["labels"].items()]
        ports = {
            port["name"]: port["containerPort"] for port in pod_of(chosen)["spec"]["containers"][0]["ports"]
        }
        assert all(ports[port["targetPort"]] == port["port"] for port in service["spec"]["ports"])


@pytest.mark.parametrize("context", CONTEXTS)
def test_the_values_for_development_lead_to_what_is_there(context: str, manifests: list[Manifest]) -> None:
    deployment = _named(rendered(context, "dev"), "Deployment", release_of(context))
    pod = pod_of(deployment)["spec"]
    (name,) = {volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume}
    secrets = {one["metadata"]["name"]: one for one in of_kind(manifests, "Secret")}
    if name not in secrets:
        pytest.skip(f"k8s/dev has no Secret {name} yet; add one to databases.yaml")
    for key, role in (("service-url", "service"), ("query-url", "query"), ("owner-url", "owner")):
        url = urlsplit(secrets[name]["stringData"][key])
        assert (url.username, url.hostname) == (f"{context}_{role}", "postgres.intent-dev")
    environment = {one["name"]: one.get("value") for one in pod["containers"][0]["env"]}
    host, _, port = str(environment["TEMPORAL_ADDRESS"]).partition(":")
    service = _named(manifests, "Service", "temporal")
    assert host == f"{service['metadata']['name']}.{service['metadata']['namespace']}"
    assert int(port) in {one["port"] for one in service["spec"]["ports"]}


def test_the_cluster_has_two_zones() -> None:
    cluster = yaml.safe_load((K8S / "kind.yaml").read_text())
    assert (cluster["apiVersion"], cluster["kind"]) == ("kind.x-k8s.io/v1alpha4", "Cluster")
    assert {role["role"] for role in cluster["nodes"]} == {"control-plane", "worker"}
    zones = {node["labels"]["topology.kubernetes.io/zone"] for node in cluster["nodes"] if "labels" in node}
    assert len(zones) == 2
