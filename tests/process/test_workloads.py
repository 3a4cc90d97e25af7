"""Two contexts in identity mode token: one consumes the events of the other as its ServiceAccount."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from intent.client import IntentClient, RetryPolicy
from intent.dev.platform import ContextService, LocalPlatform
from intent.errors import PermissionDenied, Unauthenticated
from intent_contracts.shipping.v1 import KnownOrder

from ..consumers.cluster import until
from ..service.support import REGISTRY, place
from ..support.issuer import AUDIENCE, Issuer, new_key, running_issuer
from .known_orders import known_order

SHIPPING = "system:serviceaccount:shop:shipping"
INTENT = "intent"
ACCOUNTS = {
    "shop/shipping": ["consumer", "consumer-all"],
    "shop/reports": {"roles": ["service", "any-tenant"]},
    "shop/acme": {"actor": "service:acme-only", "roles": ["service"], "tenants": ["acme"]},
}


@pytest_asyncio.fixture(scope="module")
async def users() -> AsyncIterator[Issuer]:
    async with running_issuer() as running:
        yield running


@pytest_asyncio.fixture(scope="module")
async def cluster() -> AsyncIterator[Issuer]:
    async with running_issuer("cluster") as running:
        yield running


@pytest.fixture(scope="module")
def platform() -> Iterator[LocalPlatform]:
    with LocalPlatform(durable=False, keep_workflows=False) as running:
        yield running


def environment(users: Issuer, cluster: Issuer) -> dict[str, str]:
    issuers = [
        {"issuer": users.url, "audience": AUDIENCE},
        {
            "issuer": cluster.url,
            "audience": INTENT,
            "service_accounts": ACCOUNTS,
            "any_tenant_role": "any-tenant",
        },
    ]
    return {
        "INTENT_DEV": "false",
        "INTENT_IDENTITY_MODE": "token",
        "INTENT_IDENTITY_ISSUERS": json.dumps(issuers),
    }


@pytest_asyncio.fixture(scope="module")
async def orders(platform: LocalPlatform, users: Issuer, cluster: Issuer) -> AsyncIterator[ContextService]:
    await platform.prepare("orders")
    await platform.prepare("shipping")
    with platform.service("orders", environment=environment(users, cluster)) as running:
        yield running


@contextmanager
def shipping(
    platform: LocalPlatform, users: Issuer, cluster: Issuer, token_file: Path | None
) -> Iterator[ContextService]:
    known = {} if token_file is None else {"INTENT_IDENTITY_TOKEN_FILE": str(token_file)}
    with platform.service("shipping", environment={**environment(users, cluster), **known}) as running:
        yield running


def account(cluster: Issuer, name: str = SHIPPING, **claims: Any) -> str:
    return cluster.token(**{"aud": INTENT, "sub": name, **claims})


def client(context: ContextService, token: str, tenant: str = "") -> IntentClient:
    return IntentClient.connect(
        context.target,
        tenant=tenant,
        token=token,
        registry=REGISTRY,
        timeout=60,
        policy=RetryPolicy(longest=0.5),
    )


async def order_of(orders: ContextService, users: Issuer, order_id: str) -> None:
    token = users.token(tenants=["acme"], roles=["customer"])
    async with client(orders, token) as customer:
        await customer.execute(place(order_id))


async def known(shipping: ContextService, users: Issuer, order_id: str) -> KnownOrder:
    """Wait until shipping knows an order."""
    async with client(shipping, users.token(tenants=["acme"], roles=["service", "warehouse"])) as warehouse:
        return await known_order(warehouse, order_id)


async def test_a_context_consumes_with_the_token_in_its_file_which_may_be_replaced(
    platform: LocalPlatform, users: Issuer, cluster: Issuer, orders: ContextService, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    # One that is refused: the context tries again with what is in the file then.
    file.write_text(account(cluster, key=new_key("RS256", "forged"), header={"kid": "cluster"}))
    await order_of(orders, users, "o-1")
    with shipping(platform, users, cluster, file) as running:
        await until(_said(running, "TOKEN_INVALID"))
        replacement = tmp_path / "next"
        replacement.write_text(account(cluster))
        replacement.rename(file)
        assert (await known(running, users, "o-1")).customer_id == "ann"
    operator = users.token(roles=["operator", "consumer-all"])
    async with client(orders, operator) as olga:
        (info,) = (await olga.consumers.list()).consumers
        assert (info.consumer, info.joined_by) == ("shipping.known-orders", "service:shipping")


async def test_without_a_token_nothing_is_consumed(
    platform: LocalPlatform, users: Issuer, cluster: Issuer, orders: ContextService
) -> None:
    with shipping(platform, users, cluster, None) as running:
        await until(_said(running, "TOKEN_MISSING"))


async def test_a_service_account_is_who_the_settings_say(
    users: Issuer, cluster: Issuer, orders: ContextService
) -> None:
    reports = account(cluster, "system:serviceaccount:shop:reports")
    for tenant in ("acme", "globex"):
        async with client(orders, reports, tenant) as any_tenant:
            result = await any_tenant.execute(place(f"o-{tenant}"))
            assert result.version > 0
            (event, *_) = (await any_tenant.read_stream("Order", f"o-{tenant}")).events
            assert (event.actor, event.tenant_id) == ("service:reports", tenant)
    async with client(orders, account(cluster, "system:serviceaccount:shop:acme"), "globex") as bound:
        with pytest.raises(PermissionDenied) as denied:
            await bound.execute(place("o-3"))
        assert denied.value.reason == "TENANT_DENIED"


@pytest.mark.parametrize(
    ("name", "claims"),
    [
        ("system:serviceaccount:shop:stranger", {}),
        ("system:serviceaccount:other:shipping", {}),
        ("shipping", {}),
        (SHIPPING, {"aud": "https://kubernetes.default.svc"}),
        (SHIPPING, {"aud": AUDIENCE}),
    ],
)
async def test_no_other_pod_of_the_cluster_may_call(
    cluster: Issuer, orders: ContextService, name: str, claims: dict[str, str]
) -> None:
    async with client(orders, account(cluster, name, **claims), "acme") as stranger:
        with pytest.raises(Unauthenticated) as refused:
            await stranger.execute(place("o-4"))
        assert refused.value.reason == "TOKEN_INVALID"


async def test_a_user_is_no_service_whatever_the_token_says(users: Issuer, orders: ContextService) -> None:
    token = users.token(sub=SHIPPING, tenants=["acme"], roles=["service"])
    async with client(orders, token) as eve:
        await eve.execute(place("o-5"))
        (event, *_) = (await eve.read_stream("Order", "o-5")).events
        assert event.actor == f"user:{SHIPPING}"


def _said(running: ContextService, words: str) -> Callable[[], Awaitable[bool]]:
    async def said() -> bool:
        return words in running.process.log.read_text()

    return said
