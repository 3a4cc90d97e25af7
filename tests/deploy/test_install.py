"""The chart's life in a cluster, by the real helm: install, test, upgrade, roll back, uninstall.

The tests run in the order in which they are written, on one release.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import yaml

from .charts import VALUES, HelmRefused, Manifest, objects, pod_of, render, rendered, template
from .monitoring import EXTERNAL, ON_FAILURE, expressions, family, selectors
from .sites import Site, double_site, real_site


@pytest.fixture(scope="module", params=["double", "real"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    if request.param == "real":
        with real_site() as found:
            yield found
    else:
        with double_site(tmp_path_factory.mktemp("cluster")) as found:
            yield found


def _job(site: Site, name: str) -> Manifest:
    job = site.get("job", name)
    assert job is not None
    return job


def _done(job: Manifest) -> bool:
    return any(one["type"] == "Complete" and one["status"] == "True" for one in job["status"]["conditions"])


def _passes(site: Site) -> None:
    """Let `helm test` send a real command and read back its effect."""
    assert re.search(r"Phase:\s+Succeeded", site.helm("test", "orders"))


def test_install_prepares_postgresql_and_temporal_first(site: Site) -> None:
    said = site.install("install", "orders")
    assert "orders is served at" in said
    assert _done(_job(site, "orders-migrate"))
    assert _done(_job(site, "orders-temporal-setup"))
    deployment = site.get("deployment", "orders")
    assert deployment is not None
    assert deployment["status"]["readyReplicas"] == 2
    # The policy for the Jobs was removed with them.
    assert site.names("networkpolicy") == {"orders"}
    _passes(site)


def test_the_test_can_be_run_again(site: Site) -> None:
    _passes(site)


def test_upgrade_migrates_again_and_rolls_the_servers(site: Site) -> None:
    migrated = _job(site, "orders-migrate")["metadata"]["uid"]
    before = site.names("pods")
    site.install("upgrade", "orders", settings__INTENT_LANES="2")
    again = _job(site, "orders-migrate")
    assert _done(again)
    assert again["metadata"]["uid"] != migrated
    assert {name for name in site.names("pods") & before if re.fullmatch(r"orders-[0-9a-z]+-\w+", name)} <= {
        "orders-migrate-0"
    }
    _passes(site)


def test_a_migration_that_fails_stops_the_upgrade_and_leaves_what_runs(site: Site) -> None:
    with pytest.raises(HelmRefused, match="pre-upgrade hooks failed"):
        site.install(
            "upgrade",
            "orders",
            database__migrationSecret="wrong-database",
            migrate__provision="false",
            migrate__backoffLimit="0",
        )
    deployment = site.get("deployment", "orders")
    assert deployment is not None
    environment = {
        one["name"]: one.get("value") for one in pod_of(deployment)["spec"]["containers"][0]["env"]
    }
    assert environment["INTENT_LANES"] == "2"
    assert deployment["status"]["readyReplicas"] == 2


def test_rollback_runs_no_migration(site: Site) -> None:
    migrated = _job(site, "orders-migrate")["metadata"]["uid"]
    site.helm("rollback", "orders", "1", "--wait")
    assert _job(site, "orders-migrate")["metadata"]["uid"] == migrated
    deployment = site.get("deployment", "orders")
    assert deployment is not None
    assert "INTENT_LANES" not in str(deployment)
    _passes(site)


def test_servers_and_workers_run_apart(site: Site) -> None:
    site.install("upgrade", "orders", worker__mode="deployment", worker__replicas="1", server__replicas="1")
    assert {"orders", "orders-worker"} <= site.names("deployment")
    _passes(site)
    # One process of each is left, and no budget that would keep it from being moved.
    assert site.names("poddisruptionbudget") == set()


def test_the_processes_show_all_that_alerts_and_dashboards_ask_for(site: Site) -> None:
    if site.double is None:
        pytest.skip("only the double lets its pods be reached from here")
    shown = set(re.findall(r"^# TYPE (\S+)", site.double.metrics(), re.MULTILINE))
    asked = {
        family(selector.name or "")
        for expression in expressions(rendered("orders", "prod", "monitoring"))
        for selector in selectors(expression)
    }
    assert asked - shown - EXTERNAL - ON_FAILURE == set()


def test_an_autoscaler_is_left_to_its_count(site: Site) -> None:
    site.install("upgrade", "orders", server__autoscaling__mode="hpa", server__autoscaling__minReplicas="2")
    deployment = site.get("deployment", "orders")
    assert deployment is not None
    if site.double is not None:
        assert deployment["spec"]["replicas"] == 2
    assert site.names("horizontalpodautoscaler") == {"orders"}
    assert "orders-worker" not in site.names("deployment")


def test_a_new_version_is_promoted_and_the_old_one_stays_until_somebody_removes_it(site: Site) -> None:
    versions = {"versioning__enabled": "true", "versioning__keepOld": "true", "worker__mode": "deployment"}
    for build in ("one", "two"):
        small = {"worker__replicas": "1", "server__replicas": "1"}
        site.install("upgrade", "orders", **versions, **small, versioning__buildId=build)
        assert _done(_job(site, "orders-promote"))
        _passes(site)
    if site.double is not None:
        said = (site.double.folder / "orders-promote-0.log").read_text()
        assert "two is the current version of shop/orders" in said
    workers = {name for name in site.names("deployment") if name.startswith("orders-worker-")}
    assert {name.split("-")[2] for name in workers} == {"one", "two"}
    site.kubectl("delete", "deployment", "--selector", "intent/build-id=one")
    assert {name for name in site.names("deployment") if "-one-" in name} == set()
    _passes(site)


def test_every_pod_ended_by_itself_within_its_grace_period(site: Site) -> None:
    if site.double is None:
        pytest.skip("only the double reports how pods ended")
    ended = site.double.controllers.ended
    assert len(ended) >= 6
    assert [pod.manifest["metadata"]["name"] for pod in ended if pod.killed or pod.code != 0] == []


def test_uninstall_leaves_only_what_hooks_made(site: Site) -> None:
    site.helm("uninstall", "orders", "--wait")
    site.kubectl("delete", "deployment", "--selector", "app.kubernetes.io/component=worker")
    for kind in ("deployment", "service", "poddisruptionbudget", "horizontalpodautoscaler", "networkpolicy"):
        assert site.names(kind) == set(), kind
    assert site.names("job") == {"orders-migrate", "orders-temporal-setup", "orders-promote"}


def test_rendered_manifests_can_be_applied_again_and_changed(site: Site) -> None:
    """As tools without hooks do it: the Jobs are plain ones, and a change creates another Job."""
    values = {**site.values, "temporalSetup.hook": "false", "migrate.hook": "false", "server.replicas": "1"}
    for tag in ("one", "one", "two"):
        changed = {**values, "podAnnotations.example\\.com/change": tag}
        text = template("plain", [VALUES / "orders" / "staging.yaml"], changed, namespace=site.namespace)
        hookless = [
            one for one in objects(text) if "helm.sh/hook" not in one["metadata"].get("annotations", {})
        ]
        said = site.kubectl("apply", "--server-side", "--filename", "-", given=yaml.safe_dump_all(hookless))
        assert said.count("serverside-applied") == len(hookless)
    assert len([name for name in site.names("job") if name.startswith("plain-orders-migrate-")]) == 2


def test_the_double_refuses_what_a_server_would(site: Site) -> None:
    with pytest.raises(HelmRefused, match="allowPrivilegeEscalation is not false"):
        site.install("install", "open", containerSecurityContext__allowPrivilegeEscalation="true")


def test_a_real_server_takes_every_render(site: Site) -> None:
    if site.double is not None:
        pytest.skip("the double is asked by the other tests")
    for environment in ("dev", "staging", "prod"):
        said = site.kubectl(
            "apply",
            "--server-side",
            "--dry-run=server",
            "--filename",
            "-",
            given=render("orders", environment),
        )
        assert "serverside-applied" in said
