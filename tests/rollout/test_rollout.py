"""`intent deploy` against a real Temporal server and real workers of several versions."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio
from intent.dev.services import TemporalServer
from intent.errors import ConfigurationError
from intent.process.sockets import free_port
from intent.rollout import WorkerDeployment, prepare_namespace
from intent.rollout.waiting import until
from intent.temporal import SEARCH_ATTRIBUTES, Versioning
from intent.temporal.current_version import CurrentVersion
from temporalio import activity, workflow
from temporalio.api.deployment.v1 import WorkerDeploymentVersion
from temporalio.api.enums.v1 import IndexedValueType, TaskQueueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, RemoveSearchAttributesRequest
from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceRequest,
    DescribeWorkerDeploymentVersionRequest,
)
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from tests.cli.running import Done, environment, process

PINNED = Versioning("payments", "any", frozenset({"Held"}))
Workers = Callable[..., AbstractAsyncContextManager[Worker]]


@workflow.defn(name="Held", versioning_behavior=PINNED.behavior("Held"))
class Held:
    """A workflow that runs until it is released and returns the version on which it ended."""

    def __init__(self) -> None:
        self._free = False

    @workflow.run
    async def run(self) -> str:
        await workflow.wait_condition(lambda: self._free)
        version = workflow.info().get_current_deployment_version()
        return version.build_id if version is not None else ""

    @workflow.query
    def free(self) -> bool:
        return self._free

    @workflow.signal
    def release(self) -> None:
        self._free = True


@activity.defn
async def nothing() -> None:
    """Do nothing."""


@pytest.fixture(scope="module")
def temporal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TemporalServer]:
    # Temporal checks every few minutes for drained versions; here every second.
    often = {
        "matching.wv.VersionDrainageStatusRefreshInterval": "1s",
        "matching.wv.VersionDrainageStatusVisibilityGracePeriod": "1s",
    }
    log = tmp_path_factory.mktemp("temporal") / "log"
    with TemporalServer(log=log, dynamic_config=often) as running:
        yield running


@pytest_asyncio.fixture
async def client(temporal: TemporalServer) -> Client:
    return await Client.connect(temporal.address)


@pytest.fixture
def name() -> str:
    """The name of a worker deployment that only this test uses."""
    return f"payments-{uuid4().hex[:8]}"


@pytest.fixture
def workers(temporal: TemporalServer, name: str) -> Workers:
    @asynccontextmanager
    async def version(
        build: str, queue: str = "", activities: Sequence[Callable[..., object]] = ()
    ) -> AsyncIterator[Worker]:
        client = await Client.connect(temporal.address, identity=f"{build}@{uuid4().hex}")
        async with Worker(
            client,
            task_queue=queue or name,
            workflows=[Held],
            activities=activities,
            workflow_runner=UnsandboxedWorkflowRunner(),
            deployment_config=Versioning(name, build).config,
        ) as worker:
            yield worker

    return version


@pytest.fixture
def reported() -> list[str]:
    return []


@pytest.fixture
def deployment(client: Client, name: str, reported: list[str]) -> WorkerDeployment:
    return WorkerDeployment(client, name, [name], 30, reported.append)


async def deploy(address: str, *arguments: str, **variables: str) -> Done:
    env = environment(TEMPORAL_ADDRESS=address, **variables)
    return await asyncio.to_thread(process, "deploy", *arguments, env=env)


async def states(deployment: WorkerDeployment) -> dict[str, str]:
    return {version.build: version.status for version in await deployment.versions()}


async def becomes(deployment: WorkerDeployment, build: str, status: str) -> None:
    async def other() -> str:
        found = (await deployment.version(build)).status
        return "" if found == status else f"{build} is {found}"

    assert await until(other, 60, print) == ""


async def test_a_namespace_is_set_up_once_and_its_retention_follows(
    temporal: TemporalServer, client: Client
) -> None:
    created = await deploy(temporal.address, "temporal-setup", TEMPORAL_NAMESPACE="shop")
    assert created.code == 0, created.err
    assert "the namespace shop was created; it keeps closed workflows 3 days" in created.out
    assert all(f"the search attribute {name} was created" in created.out for name in SEARCH_ATTRIBUTES)
    again = await deploy(temporal.address, "temporal-setup", TEMPORAL_NAMESPACE="shop")
    assert (again.code, again.out) == (0, "the namespace shop has everything it needs\n")
    longer = await deploy(
        temporal.address, "temporal-setup", "--retention-days", "7", TEMPORAL_NAMESPACE="shop"
    )
    assert longer.out == "the namespace shop keeps closed workflows 7 days instead of 3 days\n"
    found = await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace="shop"))
    assert found.config.workflow_execution_retention_ttl.ToTimedelta() == timedelta(days=7)


async def test_setting_up_from_two_places_at_once_is_safe(temporal: TemporalServer) -> None:
    both = await asyncio.gather(
        *(deploy(temporal.address, "temporal-setup", TEMPORAL_NAMESPACE="twice") for _ in range(2))
    )
    assert [done.code for done in both] == [0, 0], [done.err for done in both]


async def test_an_attribute_of_another_type_is_an_error_that_says_the_fix(tmp_path: Path) -> None:
    attribute, kind = next(iter(SEARCH_ATTRIBUTES.items()))
    with TemporalServer(log=tmp_path / "log", namespace="odd") as server:
        client = await Client.connect(server.address, namespace="odd")
        await client.operator_service.remove_search_attributes(
            RemoveSearchAttributesRequest(namespace="odd", search_attributes=[attribute])
        )
        await client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(
                namespace="odd", search_attributes={attribute: IndexedValueType.INDEXED_VALUE_TYPE_INT}
            )
        )
        with pytest.raises(ConfigurationError, match=f"{attribute} .* must be of type {kind}; remove it"):
            await prepare_namespace(client, retention=None, wait=30, report=print)


async def test_temporal_is_waited_for_and_then_reported_as_unavailable(tmp_path: Path) -> None:
    port = free_port()
    unanswered = await deploy(f"127.0.0.1:{port}", "temporal-setup", "--wait", "0")
    assert unanswered.code == 3
    assert f"Temporal does not answer at 127.0.0.1:{port}" in unanswered.err
    waiting = asyncio.create_task(deploy(f"127.0.0.1:{port}", "temporal-setup", "--wait", "120"))
    with TemporalServer(log=tmp_path / "log", port=port):
        assert (await waiting).code == 0


async def test_a_version_is_promoted_once_its_workers_poll(
    temporal: TemporalServer, deployment: WorkerDeployment, workers: Workers, reported: list[str]
) -> None:
    waiting = asyncio.create_task(deployment.await_workers("v1", 2))
    async with workers("v1"):

        async def alone() -> str:
            return "" if any("1 of 2" in sentence for sentence in reported) else "not reported"

        assert await until(alone, 30, print) == ""
        assert not waiting.done()
        async with workers("v1"):
            await waiting
            assert await deployment.make_current("v1")
            assert not await deployment.make_current("v1")
            assert await states(deployment) == {"v1": "current"}


async def test_missing_workers_are_named(client: Client, name: str) -> None:
    impatient = WorkerDeployment(client, name, [name], 0, print)
    with pytest.raises(
        ConfigurationError, match=f"too few workers of version v1: {name} has 0 of 1; find out"
    ):
        await impatient.await_workers("v1", 1)
    with pytest.raises(ConfigurationError, match=f"knows no worker deployment {name} in the namespace"):
        await impatient.make_current("v1")


async def test_a_version_that_nobody_runs_leaves_no_record(
    client: Client, deployment: WorkerDeployment, workers: Workers, name: str
) -> None:
    async with workers("v1"):
        await deployment.await_workers("v1", 1)
        impatient = WorkerDeployment(client, name, [name], 0, print)
        with pytest.raises(ConfigurationError, match="too few workers of version mistyped"):
            await impatient.await_workers("mistyped", 1)
        assert await states(deployment) == {"v1": "inactive"}


async def test_an_old_version_goes_once_what_is_pinned_to_it_has_ended(
    client: Client, deployment: WorkerDeployment, workers: Workers, name: str
) -> None:
    async with workers("v1"), workers("v2"):
        for build in ("v1", "v2"):
            await deployment.await_workers(build, 1)
        await deployment.make_current("v1")
        held = await client.start_workflow(Held.run, id=f"{name}/held", task_queue=name)
        assert not await held.query(Held.free)
        await deployment.make_current("v2")
        assert await states(deployment) == {"v2": "current", "v1": "draining"}
        await held.signal(Held.release)
        assert await held.result() == "v1"
        await becomes(deployment, "v1", "drained")
        assert (
            await client.execute_workflow(
                Held.run, id=f"{name}/next", task_queue=name, start_signal="release"
            )
        ) == "v2"


async def test_a_ramp_gives_a_share_and_ends_in_a_promotion(
    deployment: WorkerDeployment, workers: Workers
) -> None:
    async with workers("v1"), workers("v2"):
        for build in ("v1", "v2"):
            await deployment.await_workers(build, 1)
        await deployment.make_current("v1")
        assert await deployment.ramp("v2", 25)
        assert not await deployment.ramp("v2", 25)
        assert (await deployment.version("v2")).percentage == 25
        assert await deployment.ramp("v2", 0)
        assert (await deployment.version("v2")).status != "ramping"
        assert await deployment.ramp("v2", 100)
        assert await deployment.make_current("v2")
        assert (await states(deployment))["v2"] == "current"
        with pytest.raises(ConfigurationError, match=r"knows no version v9 .*; its versions: v\d, v\d"):
            await deployment.version("v9")


async def test_a_process_knows_whether_new_workflows_start_on_its_version(
    client: Client, deployment: WorkerDeployment, workers: Workers, name: str
) -> None:
    watches = {build: CurrentVersion(client, name, name, build, every=0.05) for build in ("v1", "v2")}

    async def are(ours: dict[str, bool]) -> None:
        async def other() -> str:
            found = {build: watch.is_current() for build, watch in watches.items()}
            return "" if found == ours else f"{found} instead of {ours}"

        assert await until(other, 60, print) == ""

    async with AsyncExitStack() as stack:
        for build in ("v1", "v2"):
            await stack.enter_async_context(workers(build))
            await deployment.await_workers(build, 1)
            await stack.enter_async_context(watches[build].watched())
        await are({"v1": False, "v2": False})
        await deployment.make_current("v1")
        await are({"v1": True, "v2": False})
        await deployment.ramp("v2", 25)
        await are({"v1": False, "v2": False})
        await deployment.make_current("v2")
        await are({"v1": False, "v2": True})


async def test_without_versions_new_workflows_start_here_and_temporal_is_not_asked(name: str) -> None:
    nobody = Client.__new__(Client)
    current = CurrentVersion(nobody, name, name, "")
    async with current.watched():
        assert current.is_current()
        assert "current version" not in {task.get_name() for task in asyncio.all_tasks()}


async def test_while_temporal_is_unavailable_no_version_is_the_current_one(tmp_path: Path) -> None:
    with TemporalServer(log=tmp_path / "log") as server:
        client = await Client.connect(server.address)
        deployment = WorkerDeployment(client, "payments", ["payments"], 30, print)
        worker = Worker(
            client,
            task_queue="payments",
            workflows=[Held],
            workflow_runner=UnsandboxedWorkflowRunner(),
            deployment_config=Versioning("payments", "v1").config,
        )
        current = CurrentVersion(client, "payments", "payments", "v1", every=0.05)

        async def other(ours: bool) -> str:
            return "" if current.is_current() is ours else f"it is not {ours}"

        async with current.watched():
            async with worker:
                await deployment.await_workers("v1", 1)
                await deployment.make_current("v1")
                assert await until(partial(other, True), 60, print) == ""
            await asyncio.to_thread(server.stop)
            assert await until(partial(other, False), 60, print) == ""


async def test_a_version_that_serves_fewer_queues_is_refused_unless_that_is_intended(
    client: Client, deployment: WorkerDeployment, workers: Workers, name: str
) -> None:
    async with workers("v1"), workers("v1", f"{name}-more"), workers("v2"):
        for build in ("v1", "v2"):
            await deployment.await_workers(build, 1)
        await deployment.make_current("v1")
        await client.execute_workflow(
            Held.run, id=f"{name}/held", task_queue=f"{name}-more", start_signal="release"
        )
        with pytest.raises(ConfigurationError, match="missing active task queues"):
            await deployment.make_current("v2")
        assert await deployment.make_current("v2", missing_queues=True)


async def serves_activities(client: Client, name: str, build: str) -> None:
    version = WorkerDeploymentVersion(deployment_name=name, build_id=build)
    request = DescribeWorkerDeploymentVersionRequest(namespace="default", deployment_version=version)

    async def not_yet() -> str:
        found = await client.workflow_service.describe_worker_deployment_version(request)
        kinds = {queue.type for queue in found.version_task_queues}
        return "" if TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY in kinds else f"{build} serves {kinds}"

    assert await until(not_yet, 60, print) == ""


async def test_workers_count_once_temporal_counts_all_their_queues(
    client: Client, deployment: WorkerDeployment, workers: Workers, name: str
) -> None:
    impatient = WorkerDeployment(client, name, [name], 0, print)
    async with workers("v1", activities=[nothing]), workers("v2"):
        for build in ("v1", "v2"):
            await deployment.await_workers(build, 1)
        await deployment.make_current("v1")
        await serves_activities(client, name, "v1")
        uncounted = rf"version v2: {name} is not yet counted as served \(activities\); find out"
        with pytest.raises(ConfigurationError, match=uncounted):
            await impatient.await_workers("v2", 1)
        await impatient.await_workers("v2", 1, missing_queues=True)
        async with workers("v2", activities=[nothing]):
            await deployment.await_workers("v2", 1)
            assert await deployment.make_current("v2")


async def test_concurrent_promotions_do_not_disturb_each_other(
    deployment: WorkerDeployment, workers: Workers
) -> None:
    async with workers("v1"), workers("v2"):
        for build in ("v1", "v2"):
            await deployment.await_workers(build, 1)
        await asyncio.gather(*(deployment.make_current(build) for build in ("v1", "v2") * 3))
        assert "current" in (await states(deployment)).values()


async def test_the_command_line_promotes_shows_and_returns_exit_codes(
    temporal: TemporalServer, deployment: WorkerDeployment, workers: Workers, name: str
) -> None:
    unversioned = await deploy(temporal.address, "status", "payments", "--deployment", name)
    assert "its workers are unversioned" in unversioned.out
    assert (await deploy(temporal.address, "promote", "payments")).code == 2
    async with workers("v1", "payments-commands"), workers("v1", "payments-sagas"):
        options = ("--deployment", name)
        done = await deploy(temporal.address, "promote", "payments", *options, TEMPORAL_WORKER_BUILD_ID="v1")
        assert (done.code, done.out) == (0, f"v1 is the current version of {name}\n"), done.err
        shown = json.loads((await deploy(temporal.address, "status", "payments", *options, "--json")).out)
        assert [(v["build"], v["status"]) for v in shown["versions"]] == [("v1", "current")]
        busy = await deploy(temporal.address, "drained", "payments", *options, "--build-id", "v1")
        assert (busy.code, "v1 is current since" in busy.out) == (1, True)
        assert (await deploy(temporal.address, "drained", "payments", *options)).code == 0
        assert (await deploy(temporal.address, "drained", "payments", *options, "--build-id", "v7")).code == 3
