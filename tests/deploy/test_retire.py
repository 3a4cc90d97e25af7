"""`intent deploy retire` on the cluster double: what is drained goes, and nothing else."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml
from intent.auditing import ACTION, AuditDatabase, AuditFilter
from intent.dev.services import TemporalServer
from intent.rollout import WorkerDeployment
from intent.rollout.waiting import until
from intent.store.postgres import PostgresEventStore
from intent.temporal import Versioning
from intent.temporal.registration import refusal
from temporalio import workflow
from temporalio.api.workflowservice.v1 import SetWorkerDeploymentCurrentVersionRequest
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from ..cli.running import Done, environment, process
from ..support.databases import Database
from .charts import KUBECTL
from .cluster import Cluster

NAMESPACE = "shop"


@workflow.defn(name="Nothing")
class Nothing:
    @workflow.run
    async def run(self) -> None:
        return None


@pytest.fixture(scope="module")
def temporal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TemporalServer]:
    often = {
        "matching.wv.VersionDrainageStatusRefreshInterval": "1s",
        "matching.wv.VersionDrainageStatusVisibilityGracePeriod": "1s",
    }
    log = tmp_path_factory.mktemp("temporal") / "log"
    with TemporalServer(log=log, dynamic_config=often) as running:
        yield running


@pytest_asyncio.fixture(scope="module")
async def versions(temporal: TemporalServer) -> AsyncIterator[WorkerDeployment]:
    """Version 1 was current and is drained, 2 is current, 3 has workers and was never promoted."""
    client = await Client.connect(temporal.address)
    orders = WorkerDeployment(client, "orders", ["orders-commands"], 60, print)
    async with AsyncExitStack() as stack:
        for build in ("1", "2", "3"):
            worker = Worker(
                await Client.connect(temporal.address),
                task_queue="orders-commands",
                workflows=[Nothing],
                workflow_runner=UnsandboxedWorkflowRunner(),
                deployment_config=Versioning("orders", build).config,
            )
            await stack.enter_async_context(worker)
            await orders.await_workers(build, 1)
        await orders.make_current("1")
        await orders.make_current("2")
        await _drained(orders, "1")
        yield orders


async def _drained(orders: WorkerDeployment, build: str) -> None:
    async def busy() -> str:
        return "" if (await orders.version(build)).status == "drained" else f"{build} is not drained"

    assert await until(busy, 60, print) == ""


async def _make_current_without_workers(client: Client, build: str) -> None:
    assert await refusal(client, "orders", build) == ""
    await client.workflow_service.set_worker_deployment_current_version(
        SetWorkerDeploymentCurrentVersionRequest(
            namespace="default",
            deployment_name="orders",
            build_id=build,
            allow_no_pollers=True,
            ignore_missing_task_queues=True,
        )
    )


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A cluster with a Deployment for each version, and some that do not concern retire."""
    with Cluster(tmp_path) as running:
        for name, build, deployment in (
            ("orders-worker-1", "1", "orders"),
            ("orders-worker-2", "2", "orders"),
            ("orders-worker-3", "3", "orders"),
            ("orders-worker-9", "9", "orders"),
            ("other-worker-1", "1", "elsewhere/orders"),
            ("orders", "", "orders"),
        ):
            manifest = yaml.safe_dump(_deployment(name, build, deployment))
            subprocess.run(
                [KUBECTL, "apply", "--namespace", NAMESPACE, "-f", "-"],
                env={**environment(), **running.environment},
                input=manifest.encode(),
                check=True,
            )
        yield running


def _deployment(name: str, build: str, deployment: str) -> dict[str, Any]:
    labels = {"app.kubernetes.io/name": "orders", "app.kubernetes.io/part-of": "intent", "of": name}
    if build:
        labels["intent/build-id"] = build
    container = {
        "name": "worker",
        "image": "intent/orders:1",
        "command": ["sleep", "600"],
        "env": [{"name": "TEMPORAL_DEPLOYMENT_NAME", "value": deployment}],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    pod = {
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
    }
    template = {"metadata": {"labels": labels}, "spec": pod}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"of": name}}, "template": template},
    }


def _replicas(cluster: Cluster) -> dict[str, int]:
    found = cluster.objects(NAMESPACE, "Deployment")
    return {name: one["spec"]["replicas"] for (_, name), one in found.items()}


async def _retire(cluster: Cluster, temporal: TemporalServer, *options: str, **more: str) -> Done:
    env = environment(TEMPORAL_ADDRESS=temporal.address, **cluster.environment, **more)
    arguments = ("deploy", "retire", "orders", "--namespace", NAMESPACE, *options)
    return await asyncio.to_thread(process, *arguments, env=env)


async def test_only_what_is_drained_is_scaled_to_zero(
    cluster: Cluster, temporal: TemporalServer, versions: WorkerDeployment
) -> None:
    before = _replicas(cluster)
    planned = await _retire(cluster, temporal, "--dry-run")
    assert planned.code == 0, planned.err
    assert "orders-worker-1 (version 1, drained): would be scaled to zero" in planned.out
    assert _replicas(cluster) == before

    done = await _retire(cluster, temporal)
    assert "orders-worker-1 (version 1, drained): scaled to zero" in done.out
    assert "orders-worker-2 (version 2, current): stays as it is" in done.out
    assert "orders-worker-3 (version 3, inactive): stays as it is" in done.out
    assert "orders-worker-9 (version 9, not known to Temporal): stays as it is" in done.out
    assert "other-worker-1" not in done.out
    assert _replicas(cluster) == {**before, "orders-worker-1": 0}

    assert "orders-worker-1 (version 1, drained): stays as it is" in (await _retire(cluster, temporal)).out
    assert "deleted" in (await _retire(cluster, temporal, "--delete")).out
    assert _replicas(cluster).keys() == before.keys() - {"orders-worker-1"}


async def test_records_of_drained_versions_without_deployment_are_deleted_where_temporal_allows(
    cluster: Cluster, temporal: TemporalServer, versions: WorkerDeployment
) -> None:
    await _make_current_without_workers(await Client.connect(temporal.address), "0")
    await versions.make_current("2")
    await _drained(versions, "0")
    planned = await _retire(cluster, temporal, "--dry-run")
    assert "the record of version 0 (drained) in Temporal: would be deleted" in planned.out
    done = await _retire(cluster, temporal, "--delete")
    assert done.code == 0, done.err
    assert "the record of version 0 (drained) in Temporal: deleted" in done.out
    assert re.search(r"the record of version 1 \(drained\) in Temporal: stays: .*poller", done.out), done.out
    assert {version.build for version in await versions.versions()} == {"1", "2", "3"}


async def test_what_is_retired_is_recorded(
    cluster: Cluster,
    temporal: TemporalServer,
    versions: WorkerDeployment,
    postgres_store: PostgresEventStore,
    database: Database,
) -> None:
    audited = {"INTENT_DATABASE_URL": database.service}
    for options in (("--dry-run",), ("--reason", "ticket 88"), ("--delete",)):
        done = await _retire(cluster, temporal, *options, **audited)
        assert done.code == 0, done.err
    rows = await AuditDatabase(postgres_store.pool, database.context).read(AuditFilter(kind=ACTION))
    assert {(row.method, row.actor.partition(":")[0]) for row in rows} == {("intent deploy retire", "local")}
    ended = {"name": "orders-worker-1", "build": "1"}
    assert [(row.reason, json.loads(row.target)) for row in rows] == [
        ("ticket 88", {**ended, "delete": False}),
        ("", {**ended, "delete": True}),
        ("", {"records": ["1"]}),
    ]


async def test_an_unknown_cluster_is_an_error_that_says_the_fix(
    temporal: TemporalServer, tmp_path: Path
) -> None:
    env = environment(
        KUBECONFIG=str(tmp_path / "none"), HOME=str(tmp_path), TEMPORAL_ADDRESS=temporal.address
    )
    done = await asyncio.to_thread(process, "deploy", "retire", "orders", env=env)
    assert (done.code, "set KUBECONFIG" in done.err) == (3, True), done.err
