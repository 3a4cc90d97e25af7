"""The references between objects are right: selectors, ports, names, budgets, times."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from intent.settings.config import load_settings

from .charts import (
    CHART,
    CONTEXTS,
    ENVIRONMENTS,
    OVERLAYS,
    VALUES,
    Manifest,
    hooks_of,
    objects,
    of_kind,
    pod_of,
    rendered,
    template,
    to_set,
    workloads,
)

CASES: list[tuple[str, str, tuple[str, ...]]] = [
    (context, environment, ()) for context in CONTEXTS for environment in ENVIRONMENTS
]
CASES += [("orders", "prod", (overlay,)) for overlay in OVERLAYS]


@pytest.fixture(params=[*CASES, None], ids=str)
def manifests(request: pytest.FixtureRequest) -> list[Manifest]:
    if request.param is None:
        return objects(template("shipping", [CHART / "ci" / "everything-values.yaml"]))
    context, environment, overlays = request.param
    return rendered(context, environment, *overlays)


def _selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    equal = all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())
    among = all(labels.get(one["key"]) in one["values"] for one in selector.get("matchExpressions", []))
    return equal and among


def _labels(manifest: Manifest) -> dict[str, str]:
    labels: dict[str, str] = pod_of(manifest)["metadata"]["labels"]
    return labels


def _running(manifests: list[Manifest]) -> list[Manifest]:
    return of_kind(manifests, "Deployment", "WorkerDeployment")


def _environment(container: dict[str, Any]) -> dict[str, str]:
    return {variable["name"]: variable.get("value", "") for variable in container.get("env", [])}


def test_a_deployment_selects_its_own_pods_alone(manifests: list[Manifest]) -> None:
    for deployment in of_kind(manifests, "Deployment"):
        chosen = [
            one["metadata"]["name"]
            for one in workloads(manifests)
            if _selects(deployment["spec"]["selector"], _labels(one))
        ]
        assert chosen == [deployment["metadata"]["name"]]


def test_a_service_leads_to_servers_and_a_port_that_they_have(manifests: list[Manifest]) -> None:
    services = of_kind(manifests, "Service")
    assert {service["spec"].get("clusterIP") for service in services} == {None, "None"}
    for service in services:
        chosen = [
            one
            for one in workloads(manifests)
            if _selects({"matchLabels": service["spec"]["selector"]}, _labels(one))
        ]
        assert [one["kind"] for one in chosen] == ["Deployment"]
        ports = {
            port["name"]: port["containerPort"]
            for port in pod_of(chosen[0])["spec"]["containers"][0]["ports"]
        }
        for port in service["spec"]["ports"]:
            assert ports[port["targetPort"]] == port["port"]


def test_ports_of_probes_and_settings_are_those_of_the_container(manifests: list[Manifest]) -> None:
    for workload in _running(manifests):
        container = pod_of(workload)["spec"]["containers"][0]
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        environment = _environment(container)
        assert environment["INTENT_METRICS_PORT"] == str(ports["metrics"])
        if "grpc" in ports:
            assert environment["INTENT_PORT"] == str(ports["grpc"])
        for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
            probe = container[kind]
            port = probe["grpc"]["port"] if "grpc" in probe else ports[probe["httpGet"]["port"]]
            assert port in ports.values()
        plain = "INTENT_TLS_CERT_PATH" not in environment
        assert ("grpc" in container["readinessProbe"]) == ("grpc" in ports and plain), "kubelets speak no TLS"
        if "grpc-clients" in ports:
            assert environment["INTENT_TLS_CLIENTS_PORT"] == str(ports["grpc-clients"])


def test_a_budget_leaves_somebody_running_and_somebody_to_evict(manifests: list[Manifest]) -> None:
    for budget in of_kind(manifests, "PodDisruptionBudget"):
        chosen = [one for one in _running(manifests) if _selects(budget["spec"]["selector"], _labels(one))]
        assert len(chosen) == 1
        assert 1 <= budget["spec"]["maxUnavailable"] < _least(chosen[0], manifests)
    for workload in _running(manifests):
        if _least(workload, manifests) == 1:
            budgets = of_kind(manifests, "PodDisruptionBudget")
            assert not any(_selects(budget["spec"]["selector"], _labels(workload)) for budget in budgets)


def _least(workload: Manifest, manifests: list[Manifest]) -> int:
    scalers = [one for one in _scalers(manifests) if _target(one) == workload["metadata"]["name"]]
    if scalers:
        spec = scalers[0]["spec"]
        return int(spec.get("minReplicas") or spec["minReplicaCount"])
    return int(workload["spec"]["replicas"])


def _scalers(manifests: list[Manifest]) -> list[Manifest]:
    return of_kind(manifests, "HorizontalPodAutoscaler", "ScaledObject")


def _target(scaler: Manifest) -> str:
    name: str = scaler["spec"]["scaleTargetRef"]["name"]
    return name


def test_whoever_is_scaled_says_nothing_of_replicas_and_never_goes_to_none(manifests: list[Manifest]) -> None:
    deployments = {one["metadata"]["name"]: one for one in of_kind(manifests, "Deployment")}
    targets = [_target(scaler) for scaler in _scalers(manifests)]
    assert len(targets) == len(set(targets))
    for name in targets:
        assert "replicas" not in deployments[name]["spec"]
        assert "cpu" in pod_of(deployments[name])["spec"]["containers"][0]["resources"]["requests"]
        assert _least(deployments[name], manifests) >= 1
    for name in deployments.keys() - set(targets):
        assert deployments[name]["spec"]["replicas"] >= 1


def test_an_autoscaler_knows_who_lets_it_into_temporal(manifests: list[Manifest]) -> None:
    known = {one["metadata"]["name"] for one in of_kind(manifests, "TriggerAuthentication")}
    for scaler in of_kind(manifests, "ScaledObject"):
        for trigger in scaler["spec"]["triggers"]:
            assert trigger.get("authenticationRef", {}).get("name") in {None, *known}


def test_the_grace_period_is_longer_than_the_drain(manifests: list[Manifest]) -> None:
    for workload in _running(manifests):
        spec = pod_of(workload)["spec"]
        container = spec["containers"][0]
        drain = float(_environment(container)["INTENT_DRAIN_TIMEOUT"])
        stopping = container["lifecycle"]["preStop"]["sleep"]["seconds"]
        # Calls and lanes are finished first, then the worker; each may take that long.
        assert spec["terminationGracePeriodSeconds"] >= stopping + 2 * drain


def test_what_runs_before_the_release_needs_nothing_of_it(manifests: list[Manifest]) -> None:
    created = {(one["kind"], one["metadata"]["name"]) for one in manifests if not hooks_of(one)}
    early = [one for one in manifests if hooks_of(one) & {"pre-install", "pre-upgrade"}]
    for one in early:
        if one["kind"] == "Job":
            assert not _needed(pod_of(one)["spec"]) & created
            assert one["metadata"]["annotations"]["helm.sh/hook-delete-policy"] == "before-hook-creation"
    assert {one["kind"] for one in early} <= {"Job", "NetworkPolicy"}


def _needed(spec: dict[str, Any]) -> set[tuple[str, str]]:
    """Return the objects of its namespace that a pod needs to start."""
    return {("ServiceAccount", spec.get("serviceAccountName", "default")), *_mounted(spec), *_read(spec)}


def _mounted(spec: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for volume in spec.get("volumes", []):
        if "secret" in volume:
            yield "Secret", volume["secret"]["secretName"]
        if "configMap" in volume:
            yield "ConfigMap", volume["configMap"]["name"]


def _read(spec: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for container in [*spec.get("initContainers", []), *spec["containers"]]:
        for variable in container.get("env", []):
            source = variable.get("valueFrom", {})
            if "secretKeyRef" in source:
                yield "Secret", source["secretKeyRef"]["name"]
            if "configMapKeyRef" in source:
                yield "ConfigMap", source["configMapKeyRef"]["name"]


def test_no_secret_is_created_and_none_is_written_down(manifests: list[Manifest]) -> None:
    assert of_kind(manifests, "Secret") == []
    for workload in workloads(manifests):
        spec = pod_of(workload)["spec"]
        for container in [*spec.get("initContainers", []), *spec["containers"]]:
            for name in _environment(container):
                assert "URL" not in name or name.endswith("_FILE") or name == "CARRIER_URL"
                assert name != "TEMPORAL_API_KEY"


def test_files_that_settings_name_are_mounted(manifests: list[Manifest]) -> None:
    for workload in workloads(manifests):
        spec = pod_of(workload)["spec"]
        for container in spec["containers"]:
            there = set(_files(spec, container))
            for name, value in _environment(container).items():
                if name.endswith(("_FILE", "_PATH")) or name in {"PGSSLROOTCERT", "PGSSLCERT", "PGSSLKEY"}:
                    assert value in there, f"{name} names {value}"


def _files(spec: dict[str, Any], container: dict[str, Any]) -> Iterator[str]:
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    for mount in container["volumeMounts"]:
        volume = volumes[mount["name"]]
        sources = [volume, *volume.get("projected", {}).get("sources", [])]
        parts = [source.get(kind, {}) for source in sources for kind in ("secret", "configMap")]
        tokens = [source["serviceAccountToken"] for source in sources if "serviceAccountToken" in source]
        for item in [*tokens, *(item for part in parts for item in part.get("items", []))]:
            yield f"{mount['mountPath']}/{item['path']}"


def test_only_migrations_may_read_the_owners_url(manifests: list[Manifest]) -> None:
    for workload in _running(manifests):
        spec = pod_of(workload)["spec"]
        files = [*_files(spec, spec["containers"][0])]
        assert not any("owner" in file or "admin" in file for file in files)


def test_policies_choose_the_pods_of_the_release(manifests: list[Manifest]) -> None:
    policies = of_kind(manifests, "NetworkPolicy")
    chosen = {
        one["metadata"]["name"]: [
            policy["metadata"]["name"]
            for policy in policies
            if _selects(policy["spec"]["podSelector"], _labels(one))
        ]
        for one in workloads(manifests)
    }
    assert all(len(names) == 1 for names in chosen.values()), chosen


def test_prometheus_reads_the_port_with_the_metrics(manifests: list[Manifest]) -> None:
    for monitor in of_kind(manifests, "PodMonitor"):
        chosen = [one for one in workloads(manifests) if _selects(monitor["spec"]["selector"], _labels(one))]
        assert chosen == _running(manifests)
        names = {port["name"] for port in pod_of(chosen[0])["spec"]["containers"][0]["ports"]}
        assert {endpoint["port"] for endpoint in monitor["spec"]["podMetricsEndpoints"]} <= names


def test_every_process_runs_the_same_image(manifests: list[Manifest]) -> None:
    containers = [
        container
        for workload in workloads(manifests)
        for container in [
            *pod_of(workload)["spec"].get("initContainers", []),
            *pod_of(workload)["spec"]["containers"],
        ]
    ]
    assert len({container["image"] for container in containers}) == 1
    assert all(container["command"] == ["intent"] for container in containers)


def test_the_job_that_provisions_draws_the_limits_of_the_settings() -> None:
    values = {
        "migrate.provision": "true",
        "settings.INTENT_QUERY_CONNECTION_LIMIT": "40",
        "settings.INTENT_SERVICE_CONNECTION_LIMIT": "120",
    }
    render = template("orders", [VALUES / "orders" / "prod.yaml"], {**to_set("orders"), **values})
    (job,) = [one for one in of_kind(objects(render), "Job") if "migrate" in one["metadata"]["name"]]
    environment = _environment(pod_of(job)["spec"]["containers"][0])
    assert environment["INTENT_SERVICE_CONNECTION_LIMIT"] == "120"
    assert environment["INTENT_QUERY_CONNECTION_LIMIT"] == "40"


@pytest.mark.parametrize("context", CONTEXTS)
def test_production_never_speaks_to_postgresql_in_plain_text(context: str) -> None:
    containers = [
        container
        for workload in workloads(rendered(context, "prod"))
        for container in pod_of(workload)["spec"]["containers"]
        if any("DATABASE_URL" in name for name in _environment(container))
    ]
    assert len(containers) > 1
    assert {_environment(container).get("PGSSLMODE") for container in containers} == {"require"}


def test_with_destinations_named_nothing_leaves_for_elsewhere() -> None:
    block = "to[0].ipBlock.cidr"
    named = {f"networkPolicy.{what}.{block}": "10.1.0.0/16" for what in ("database", "issuers", "temporal")}
    render = template("orders", [VALUES / "orders" / "prod.yaml"], {**to_set("orders"), **named})
    rules = [
        rule for policy in of_kind(objects(render), "NetworkPolicy") for rule in policy["spec"]["egress"]
    ]
    assert len(rules) > 4
    assert [rule for rule in rules if not rule["to"]] == []


def test_what_production_starts_with_fits_the_limits_of_a_server_with_100_connections() -> None:
    own = load_settings(context="orders")
    (deployment,) = of_kind(rendered("orders", "prod"), "Deployment")
    (scaler,) = of_kind(rendered("orders", "prod"), "HorizontalPodAutoscaler")
    surge = deployment["spec"]["strategy"]["rollingUpdate"]["maxSurge"]
    processes = scaler["spec"]["minReplicas"] + surge
    pools = own.database_connections + own.projection_connections + own.consumer_connections
    # One listens for appends, and one builds the indexes of a rebuild.
    assert processes * (pools + 1 + own.rebuild_connections + 1) <= 100 // 2
    assert processes * own.query_connections <= 100 // 4
