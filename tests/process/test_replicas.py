"""Several processes of a context: they share the work, and a rollout is not noticed by callers."""

from __future__ import annotations

import asyncio
import json
import re
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from uuid import uuid4

import pytest
import pytest_asyncio
from intent.client import IntentClient
from intent.dev.platform import LocalPlatform
from intent.errors import ConfigurationError
from intent.process.sockets import free_port
from intent.rollout import WorkerDeployment
from intent.rollout.waiting import until
from intent.temporal import Versioning, data_converter
from intent.temporal.names import command_queue, saga_queue, saga_workflow_id
from intent_contracts.intent.v1 import CommandResult
from intent_contracts.orders.v1 import Checkout, PlaceOrder, Receiver
from temporalio import workflow
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from ..chaos.storm import Storm
from ..service.support import REGISTRY, place
from .replicas import replicas, versioned

_LONGEST = 120.0
_VERSIONS = 8
"""The versions of a context that Temporal keeps here at most."""


@pytest_asyncio.fixture(scope="module")
async def platform() -> AsyncIterator[LocalPlatform]:
    # Temporal checks every few minutes for drained versions; here every second.
    often = {
        "matching.wv.VersionDrainageStatusRefreshInterval": "1s",
        "matching.wv.VersionDrainageStatusVisibilityGracePeriod": "1s",
        "matching.maxVersionsInDeployment": _VERSIONS,
    }
    with LocalPlatform(durable=False, dynamic_config=often) as running:
        for context in ("orders", "inventory"):
            await running.prepare(context)
        yield running


def connected(target: str, tenant: str) -> IntentClient:
    return IntentClient.connect(target, tenant=tenant, registry=REGISTRY, timeout=_LONGEST)


async def test_two_replicas_share_the_work(platform: LocalPlatform) -> None:
    answers: list[CommandResult] = []
    with replicas(platform, "orders", "", "") as both:
        async with connected(both.target, "shared") as calling, asyncio.timeout(_LONGEST):
            # A client calls each process from when it is connected with it.
            while min(both.batched()) < 10:
                names = [f"s-{len(answers) + n}" for n in range(10)]
                answers += await asyncio.gather(*(calling.execute(place(name)) for name in names))
        assert sum(both.batched()) == len(answers)
    positions = sorted(answer.position for answer in answers)
    assert positions == list(range(positions[0], positions[0] + len(answers)))


@pytest.mark.chaos
async def test_a_rolling_restart_under_load_loses_nothing_and_fails_no_call() -> None:
    with LocalPlatform() as platform:
        await platform.prepare("orders")
        with replicas(platform, "orders", "", "") as both:
            storm = Storm(platform, both, seed=3, callers=6, rest=0.2)
            await storm.blow([both.restart_in_turn], pause=0.2)
            assert len(storm.sent) > 50
            await storm.check()


async def deployment(platform: LocalPlatform) -> WorkerDeployment:
    client = await Client.connect(platform.temporal.address)
    return WorkerDeployment(
        client, "orders", [command_queue("orders"), saga_queue("orders")], _LONGEST, print
    )


async def promote(platform: LocalPlatform, build: str) -> None:
    orders = await deployment(platform)
    await orders.await_workers(build, 1)
    await orders.make_current(build)


def checked_out(order_id: str) -> PlaceOrder:
    """Return an order whose checkout starts its saga."""
    order = place(order_id)
    receiver = Receiver(name="Ann", street="Lane 1", postal_code="1", city="Town", country="DE")
    order.checkout.CopyFrom(Checkout(card_token="tok_visa", warehouse_id="w-1", ship_to=receiver))
    return order


async def saga(platform: LocalPlatform, tenant: str, order_id: str) -> WorkflowHandle[object, object]:
    client = await Client.connect(platform.temporal.address, data_converter=data_converter)
    return client.get_workflow_handle(saga_workflow_id("orders.v1.FulfilOrder", tenant, order_id))


async def version_of(handle: WorkflowHandle[object, object]) -> str:
    """Return the version on which a workflow's last task was; an empty string before the first."""
    try:
        info = (await handle.describe()).raw_description.workflow_execution_info
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return ""
        raise
    return info.versioning_info.deployment_version.build_id


async def began_on(handle: WorkflowHandle[object, object], build: str) -> None:
    async def elsewhere() -> str:
        found = await version_of(handle)
        return "" if found == build else f"{handle.id} is on {found}"

    assert await until(elsewhere, _LONGEST, print) == ""


async def check_out_until_on(
    platform: LocalPlatform, calling: IntentClient, tenant: str, build: str
) -> list[WorkflowHandle[object, object]]:
    """Check out until a saga starts on a version: a promotion takes a moment to reach every process.

    Returns:
        The sagas of all these orders; the last is on the version.
    """
    started: list[WorkflowHandle[object, object]] = []
    async with asyncio.timeout(_LONGEST):
        while True:
            order_id = uuid4().hex
            await calling.execute(checked_out(order_id))
            handle = await saga(platform, tenant, order_id)
            assert await until(partial(_not_started, handle), _LONGEST, print) == ""
            started.append(handle)
            if await version_of(handle) == build:
                return started


async def _not_started(handle: WorkflowHandle[object, object]) -> str:
    return "" if await version_of(handle) else f"{handle.id} has not started"


async def becomes(orders: WorkerDeployment, build: str, status: str) -> None:
    async def other() -> str:
        found = (await orders.version(build)).status
        return "" if found == status else f"{build} is {found}"

    assert await until(other, _LONGEST, print) == ""


@pytest.mark.parametrize(
    ("pinned", "ends_on"), [("FulfilOrder", "old"), ("", "new")], ids=["pinned", "auto-upgrade"]
)
async def test_an_old_and_a_new_version_run_side_by_side(
    platform: LocalPlatform, pinned: str, ends_on: str
) -> None:
    tenant = uuid4().hex[:8]
    builds = {"old": f"old-{tenant}", "new": f"new-{tenant}"}
    old = versioned(platform, "orders", builds["old"], pinned_sagas=pinned)
    new = versioned(platform, "orders", builds["new"], pinned_sagas=pinned)
    orders = await deployment(platform)
    with old:
        await promote(platform, builds["old"])
        async with connected(old.target, tenant) as calling:
            await calling.execute(checked_out("first"))
        # It waits for stock, since nobody serves inventory.
        first = await saga(platform, tenant, "first")
        await began_on(first, builds["old"])
        with new:
            await promote(platform, builds["new"])
            async with connected(f"ipv4:{old.target},{new.target}", tenant) as calling:
                await asyncio.gather(*(calling.execute(place(f"o-{n}")) for n in range(20)))
                later = await check_out_until_on(platform, calling, tenant, builds["new"])
            if pinned:
                assert (await orders.version(builds["old"])).status == "draining"
            with platform.service("inventory"):
                # A saga that still began on the old version keeps it, when it is pinned.
                await asyncio.gather(*(handle.result() for handle in (first, *later)))
            assert await version_of(first) == builds[ends_on]
            assert await version_of(later[-1]) == builds["new"]
            await becomes(orders, builds["old"], "drained")
            old.stop()
            assert old.process.exit_code == 0
            async with connected(new.target, tenant) as calling:
                assert (await calling.execute(place("last"))).version == 1
    assert (await orders.version(builds["new"])).status == "current"


async def test_commands_begin_at_once_in_whichever_version_took_them(platform: LocalPlatform) -> None:
    """Eager start works with versions too: the batch starts in the process of its caller."""
    tenant = uuid4().hex[:8]
    with replicas(platform, "orders", f"a-{tenant}", f"b-{tenant}") as both:
        await promote(platform, f"a-{tenant}")
        for service in both.services:
            async with connected(service.target, tenant) as calling:
                await calling.execute(place(f"o-{service.port}"))
        assert both.batched() == [1, 1]
    client = await Client.connect(platform.temporal.address, data_converter=data_converter)
    query = f'IntentTenants = "{tenant}"'
    carried: dict[str, bool] = {}
    async with asyncio.timeout(_LONGEST):
        while len(carried) < 2:
            async for found in client.list_workflows(query):
                handle = client.get_workflow_handle(found.id)
                history = await handle.fetch_history()
                started = history.events[0].workflow_execution_started_event_attributes
                assert found.status == WorkflowExecutionStatus.COMPLETED
                carried[await version_of(handle)] = started.eager_execution_accepted
    assert carried == {f"a-{tenant}": True, f"b-{tenant}": True}


def readiness(port: str) -> dict[str, str]:
    """Return the problems that a process reports, by name."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=30) as answer:
            problems: dict[str, str] = json.load(answer)["problems"]
    except urllib.error.HTTPError as error:
        problems = json.load(error)["problems"]
    except OSError:
        return {"process": "it does not answer"}
    return problems


@workflow.defn(name="Nothing")
class Nothing:
    @workflow.run
    async def run(self) -> None:
        return None


@asynccontextmanager
async def polling(client: Client, build: str) -> AsyncIterator[None]:
    """Poll as a version of inventory."""
    async with Worker(
        client,
        task_queue=command_queue("inventory"),
        workflows=[Nothing],
        workflow_runner=UnsandboxedWorkflowRunner(),
        deployment_config=Versioning("inventory", build).config,
    ):
        yield


async def test_a_version_that_temporal_refuses_is_not_ready_and_both_it_and_promote_say_why(
    platform: LocalPlatform,
) -> None:
    port = str(free_port())
    surplus = versioned(platform, "inventory", "surplus", metrics_port=port)
    client = await Client.connect(platform.temporal.address)
    inventory = WorkerDeployment(client, "inventory", [command_queue("inventory")], _LONGEST, print)
    words = f"cannot add version inventory.surplus since maximum number of versions ({_VERSIONS})"

    async def unsaid() -> str:
        return "" if words in readiness(port).get("version", "") else "it does not say so"

    async with AsyncExitStack() as stack:
        for build in map(str, range(_VERSIONS)):
            await stack.enter_async_context(polling(client, build))
        await asyncio.gather(*(inventory.await_workers(str(build), 1) for build in range(_VERSIONS)))
        surplus.process.start()
        stack.callback(surplus.stop)
        assert await until(unsaid, _LONGEST, print) == ""
        assert not surplus.ready()
        assert words in surplus.process.log.read_text()
        impatient = WorkerDeployment(client, "inventory", [command_queue("inventory")], 0, print)
        with pytest.raises(
            ConfigurationError, match=f"{re.escape(words)}.*; remove .* `intent deploy retire`"
        ):
            await impatient.await_workers("surplus", 1)
