"""Every method of a real process, called with every kind of token."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
import pytest_asyncio
from google.protobuf.descriptor_pool import Default
from intent.client import IntentClient, RetryPolicy
from intent.client.retries import platform_error
from intent.dev.platform import ContextService, LocalPlatform
from intent.errors import PermissionDenied
from intent_contracts.orders.v1 import GetOrder, OrderView

from ..service.support import REGISTRY, place
from ..support.issuer import AUDIENCE, Issuer, new_key, running_issuer
from .test_tokens import forged

SERVICES = (
    "orders.v1.Orders",
    *(f"intent.v1.{name}" for name in ("Commands", "Consumers", "Events", "Projections", "Sagas")),
)
STREAMED = {"/intent.v1.Consumers/Consume"}
UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED
DENIED = grpc.StatusCode.PERMISSION_DENIED


@pytest_asyncio.fixture(scope="module")
async def issuer() -> AsyncIterator[Issuer]:
    async with running_issuer() as running:
        yield running


@pytest_asyncio.fixture(scope="module")
async def context(issuer: Issuer) -> AsyncIterator[ContextService]:
    environment = {
        "INTENT_DEV": "false",
        "INTENT_IDENTITY_MODE": "token",
        "INTENT_IDENTITY_ISSUERS": issuer.url,
        "INTENT_IDENTITY_AUDIENCE": AUDIENCE,
    }
    with LocalPlatform(durable=False, keep_workflows=False) as platform:
        await platform.prepare("orders")
        with platform.service("orders", environment=environment) as running:
            yield running


def methods() -> list[str]:
    found = []
    for service in SERVICES:
        described = Default().FindServiceByName(service)
        found += [f"/{service}/{method.name}" for method in described.methods]
    return found


def refused(issuer: Issuer) -> dict[str, tuple[list[tuple[str, str]], grpc.StatusCode, str]]:
    """Return metadata that must be refused, by name, with the status and the reason."""
    public = issuer.key.as_pem(private=False)

    def bearer(token: str) -> list[tuple[str, str]]:
        return [("authorization", f"Bearer {token}"), ("x-tenant-id", "acme")]

    def good(**claims: Any) -> list[tuple[str, str]]:
        return bearer(issuer.token(**{"tenants": ["acme"], "roles": ["customer"], **claims}))

    invalid = (UNAUTHENTICATED, "TOKEN_INVALID")
    malformed = (grpc.StatusCode.INVALID_ARGUMENT, "METADATA_MALFORMED")
    return {
        "no token": ([("x-tenant-id", "acme")], UNAUTHENTICATED, "TOKEN_MISSING"),
        "dev token": (bearer("dev:ann:*"), *invalid),
        "expired": (good(exp=time.time() - 60), UNAUTHENTICATED, "TOKEN_EXPIRED"),
        "not yet": (good(nbf=time.time() + 600), *invalid),
        "wrong audience": (good(aud="payments"), *invalid),
        "wrong issuer": (good(iss="https://elsewhere.example"), *invalid),
        "unsigned": (bearer(forged(issuer, {"alg": "none"}, None)), *invalid),
        "key confusion": (bearer(forged(issuer, {"alg": "HS256", "kid": "one"}, public)), *invalid),
        "unknown key": (good(key=new_key("RS256", "unknown")), *invalid),
        "other key": (good(key=new_key("RS256", "other"), header={"kid": "one"}), *invalid),
        "other tenant": ([*good()[:1], ("x-tenant-id", "globex")], DENIED, "TENANT_DENIED"),
        "two tokens": ([*good(), good()[0]], *malformed),
        "two tenants": ([*good(), ("x-tenant-id", "globex")], *malformed),
        "actor beside a token": ([*good(), ("x-actor", "user:eve")], *malformed),
        "roles beside a token": ([*good(), ("x-roles", "operator")], *malformed),
    }


async def outcome(channel: grpc.aio.Channel, method: str, metadata: Any) -> tuple[grpc.StatusCode, str]:
    """Return how a call ends; repeat it while its token cannot be checked yet, as the answer says."""
    async with asyncio.timeout(60):
        while (ended := await once(channel, method, metadata))[1] == "ISSUER_UNAVAILABLE":  # noqa: ASYNC110
            await asyncio.sleep(0.2)
    return ended


async def once(channel: grpc.aio.Channel, method: str, metadata: Any) -> tuple[grpc.StatusCode, str]:
    call: Any
    if method in STREAMED:
        # Without a message: a call that ends while its caller writes fails in the caller as well.
        call = channel.stream_stream(method)(metadata=metadata, timeout=20)
    else:
        call = channel.unary_stream(method)(b"", metadata=metadata, timeout=20)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call.read()
    return caught.value.code(), platform_error(caught.value).reason


async def test_every_method_refuses_every_wrong_token_with_its_reason(
    issuer: Issuer, context: ContextService
) -> None:
    called = methods()
    assert len(called) > 25
    async with grpc.aio.insecure_channel(context.target) as channel:
        for name, (metadata, *expected) in refused(issuer).items():
            for method in called:
                assert [*await outcome(channel, method, metadata)] == expected, (name, method)


async def test_a_role_is_needed_where_the_contract_says_so(issuer: Issuer, context: ContextService) -> None:
    metadata = [("authorization", f"Bearer {issuer.token(tenants='acme', roles='*')}")]
    async with grpc.aio.insecure_channel(context.target) as channel:
        for method in ("orders.v1.Orders/PlaceOrder", "intent.v1.Projections/RebuildProjection"):
            assert await outcome(channel, f"/{method}", metadata) == (DENIED, "ROLE_MISSING")


async def test_a_right_token_is_who_it_says(issuer: Issuer, context: ContextService) -> None:
    token = f"Bearer {issuer.token(tenants=['acme'], roles=['customer', 'service'])}"
    async with IntentClient.connect(context.target, token=token, registry=REGISTRY) as client:
        result = await client.execute(place("o-1"))
        order = await client.query(GetOrder(order_id="o-1"), OrderView, min_position=result.position)
        assert order.order_id == "o-1"
        (event,) = (await client.read_stream("Order", "o-1")).events
        assert event.actor == "user:ann"


async def test_rotation_and_outage_go_unnoticed(issuer: Issuer, context: ContextService) -> None:
    def client(**claims: Any) -> IntentClient:
        token = f"Bearer {issuer.token(**{'tenants': 'acme', 'roles': 'customer', **claims})}"
        return IntentClient.connect(
            context.target, token=token, registry=REGISTRY, timeout=20, policy=RetryPolicy(longest=0.2)
        )

    issuer.rotate("rotated")
    async with client() as calling:
        await calling.execute(place("o-2"))
    await issuer.stop()
    try:
        async with client(sub="bob") as calling:
            await calling.execute(place("o-3"))
    finally:
        await issuer.start()
    async with client(tenants="globex") as calling:
        with pytest.raises(PermissionDenied):
            await calling.acting(tenant="acme").execute(place("o-4"))
