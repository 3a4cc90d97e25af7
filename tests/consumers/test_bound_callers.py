"""Callers whose token is bound to tenants, whatever roles it has: they reach those tenants alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio
from intent.client import IntentClient
from intent.errors import CommandError

from ..client.test_renewal import believing
from ..service.support import place
from ..service.test_expiry import Clock
from ..store.builders import ACME, GLOBEX
from ..support.issuer import Issuer, running_issuer
from .cluster import Cluster, Process

ROLES = "customer service consumer consumer-all operator"
NAME = "user.ann.looking"


@pytest_asyncio.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with running_issuer() as running:
        yield running


@pytest_asyncio.fixture
async def guarded(cluster: Cluster, issuer: Issuer) -> Process:
    return await cluster.process(identities=believing(issuer, Clock()))


async def rebuilt(client: IntentClient) -> None:
    async for _ in client.projections.rebuild("OrderViews"):
        pass


FOR_ALL: dict[str, Callable[[IntentClient], Awaitable[object]]] = {
    "projections": lambda client: client.projections.list(),
    "rebuild": rebuilt,
    "skip": lambda client: client.projections.skip("OrderViews", 1, "a test"),
    "remove": lambda client: client.consumers.remove(NAME, all_tenants=True),
    "drop": lambda client: client.consumers.drop(NAME, 1, "a test", all_tenants=True),
    "replay": lambda client: client.consumers.replay(NAME, "Order", "o", tenant=GLOBEX, all_tenants=True),
}
FOR_ONE: dict[str, Callable[[IntentClient], Awaitable[object]]] = {
    "consumers": lambda client: client.consumers.list(),
    "parked": lambda client: client.consumers.parked(),
    "remove": lambda client: client.consumers.remove(NAME),
    "drop": lambda client: client.consumers.drop(NAME, 1, "a test"),
    "replay": lambda client: client.consumers.replay(NAME, "Order", "o"),
    "events": lambda client: anext(client.events(follow=False)),
    "stream": lambda client: client.read_stream("Order", "o"),
    "command": lambda client: client.execute(place()),
    "submit": lambda client: client.submit(place()),
    "outcome": lambda client: client.get_command("0198f6a0-0000-7000-8000-000000000000"),
    "sagas": lambda client: client.sagas.page(),
    "saga": lambda client: client.sagas.get("x"),
    "resume": lambda client: client.sagas.resume("x"),
    "cancel": lambda client: client.sagas.cancel("x", "a test"),
    "terminate": lambda client: client.sagas.terminate("x", "a test"),
}


def bound(process: Process, issuer: Issuer, tenant: str = "") -> IntentClient:
    return process.client(tenant, actor=None, token=issuer.token(tenants=["acme", "initech"], roles=ROLES))


@pytest.mark.parametrize("tenant", ["", ACME])
async def test_what_concerns_every_tenant_is_refused(
    cluster: Cluster, guarded: Process, issuer: Issuer, tenant: str
) -> None:
    client = bound(guarded, issuer, tenant)
    for name, call in FOR_ALL.items():
        with pytest.raises(CommandError) as caught:
            await call(client)
        assert caught.value.reason == "TENANT_DENIED", name
    token = issuer.token(tenants=["acme", "initech"], roles=ROLES)
    worker = await cluster.joined(guarded, NAME, tenant=tenant, token=token, all_tenants=True, wait=False)
    assert (await worker.failure()).reason == "TENANT_DENIED"


async def test_to_name_no_tenant_is_not_to_name_all(
    cluster: Cluster, guarded: Process, issuer: Issuer
) -> None:
    client = bound(guarded, issuer)
    for name, call in FOR_ONE.items():
        with pytest.raises(CommandError) as caught:
            await call(client)
        assert caught.value.reason == "TENANT_MISSING", name
    token = issuer.token(tenants=["acme", "initech"], roles=ROLES)
    worker = await cluster.joined(guarded, NAME, tenant="", token=token, wait=False)
    assert (await worker.failure()).reason == "TENANT_MISSING"


async def test_lists_show_the_own_tenant_alone(cluster: Cluster, guarded: Process, issuer: Issuer) -> None:
    for tenant in (ACME, GLOBEX):
        token = issuer.token(tenants=tenant, roles=ROLES)
        await cluster.joined(guarded, NAME, tenant=tenant, token=token)
    shown = (await bound(guarded, issuer, ACME).consumers.list()).consumers
    assert [each.tenant_id for each in shown] == [ACME]
    everything = (
        await guarded.client("", actor=None, token=issuer.token(roles=ROLES)).consumers.list()
    ).consumers
    assert sorted(each.tenant_id for each in everything) == [ACME, GLOBEX]
