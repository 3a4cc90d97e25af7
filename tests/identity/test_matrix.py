"""Every method of a real process, called with every kind of token."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any, TypeAlias

import asyncpg
import grpc
import pytest
import pytest_asyncio
from google.protobuf.descriptor_pool import Default
from google.protobuf.message import Message
from intent.client import IntentClient, RetryPolicy
from intent.client.retries import platform_error
from intent.contracts import ANY_CALLER, CommandContract, QueryContract
from intent.dev.platform import ContextService, LocalPlatform
from intent.errors import PermissionDenied
from intent_contracts.intent.v1 import ExecuteRequest, ListParkedRequest, SubmitRequest
from intent_contracts.orders.v1 import (
    CancelOrder,
    ChangeLine,
    Checkout,
    CheckOutOrder,
    GetOrder,
    ListOrders,
    OrderView,
    PlaceOrder,
    Receiver,
)

from ..service.support import REGISTRY, place
from ..service.wire import execute
from ..support.issuer import AUDIENCE, Issuer, new_key, running_issuer
from .test_tokens import forged


def packed(request: Any) -> bytes:
    request.command.Pack(PlaceOrder())
    body: bytes = request.SerializeToString()
    return body


SERVICES = (
    "orders.v1.Orders",
    *(f"intent.v1.{name}" for name in ("Audit", "Commands", "Consumers", "Events", "Projections", "Sagas")),
)
STREAMED = {"/intent.v1.Consumers/Consume"}
TENANT = "nosy"
"""The tenant of all callers that are refused: where a statement is for one of them, it has this in it."""
Outcome: TypeAlias = tuple[grpc.StatusCode, str]
_CONSUMING = frozenset({"consumer", "service", "consumer-all"})
_OPERATING = frozenset({"operator"})
PLATFORM: dict[str, dict[str, frozenset[str]]] = {
    # Execute and Submit need what the command needs that they carry here.
    "intent.v1.Commands": dict.fromkeys(("Execute", "Submit"), frozenset({"customer", "service"})),
    "intent.v1.Consumers": {"Consume": _CONSUMING, "": _CONSUMING | _OPERATING},
    "intent.v1.Events": {"": frozenset({"service", "operator"})},
    "intent.v1.Audit": {"": _OPERATING},
    "intent.v1.Projections": {"": _OPERATING},
    "intent.v1.Sagas": {
        **dict.fromkeys(("ListSagas", "GetSaga"), frozenset({"operator", "service"})),
        "": _OPERATING,
    },
}
EVERY_ROLE = frozenset({"customer", "service", "consumer", "consumer-all", "operator"})
OF_EVERY_TENANT = ("/intent.v1.Projections/", "/intent.v1.Audit/")
WITHOUT_TENANT = {
    "/intent.v1.Commands/Describe",
    *(f"/intent.v1.Audit/{name}" for name in ("ListAudit", "GetAuditHeads")),
    *(f"/intent.v1.Projections/{name}" for name in ("ListProjections", "RebuildProjection", "SkipEvent")),
    # They read the message first, which says whether it is about all tenants; see tests of consumers.
    *(
        f"/intent.v1.Consumers/{name}"
        for name in ("Consume", "RemoveConsumer", "ReplayParked", "DropParked", "ListParked")
    ),
}
BODIES = {
    "/intent.v1.Commands/Execute": packed(ExecuteRequest()),
    "/intent.v1.Commands/Submit": packed(SubmitRequest()),
    "/intent.v1.Consumers/ListParked": ListParkedRequest(consumer="user.ann.looking").SerializeToString(),
}
UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED
DENIED = grpc.StatusCode.PERMISSION_DENIED
CHECKOUT = Checkout(
    card_token="tok-ok",
    warehouse_id="w-1",
    ship_to=Receiver(name="Eve", street="Elm 1", postal_code="10115", city="Berlin", country="DE"),
)
NOT_THE_OWNER: Outcome = (DENIED, "NOT_THE_OWNER")
NO_ROW: Outcome = (grpc.StatusCode.NOT_FOUND, "ORDER_VIEW_NOT_FOUND")
OF_OTHERS: tuple[tuple[Message, Outcome], ...] = (
    (CancelOrder(reason="not mine"), NOT_THE_OWNER),
    (ChangeLine(line_id="1", quantity=7), NOT_THE_OWNER),
    (CheckOutOrder(checkout=CHECKOUT), NOT_THE_OWNER),
    (GetOrder(), NO_ROW),
    (ListOrders(customer_id="ann"), (grpc.StatusCode.OK, "")),
)
"""What a customer may do with an order, and how it ends for those whose order it is not."""


@pytest_asyncio.fixture(scope="module")
async def issuer() -> AsyncIterator[Issuer]:
    async with running_issuer() as running:
        yield running


@pytest.fixture(scope="module")
def platform() -> Iterator[LocalPlatform]:
    with LocalPlatform(durable=False, keep_workflows=False) as running:
        yield running


@pytest_asyncio.fixture(scope="module")
async def context(issuer: Issuer, platform: LocalPlatform) -> AsyncIterator[ContextService]:
    environment = {
        "INTENT_DEV": "false",
        "INTENT_IDENTITY_MODE": "token",
        "INTENT_IDENTITY_ISSUERS": issuer.url,
        "INTENT_IDENTITY_AUDIENCE": AUDIENCE,
    }
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
        return [("authorization", f"Bearer {token}"), ("x-tenant-id", TENANT)]

    def good(**claims: Any) -> list[tuple[str, str]]:
        return bearer(issuer.token(**{"tenants": [TENANT], "roles": sorted(EVERY_ROLE), **claims}))

    invalid = (UNAUTHENTICATED, "TOKEN_INVALID")
    malformed = (grpc.StatusCode.INVALID_ARGUMENT, "METADATA_MALFORMED")
    return {
        "no token": ([("x-tenant-id", TENANT)], UNAUTHENTICATED, "TOKEN_MISSING"),
        "dev token": (bearer("dev:ann:*"), *invalid),
        "expired": (good(exp=time.time() - 60), UNAUTHENTICATED, "TOKEN_EXPIRED"),
        "not yet": (good(nbf=time.time() + 600), *invalid),
        "wrong audience": (good(aud="payments"), *invalid),
        "wrong issuer": (good(iss="https://elsewhere.example"), *invalid),
        "unsigned": (bearer(forged(issuer, {"alg": "none"}, None)), *invalid),
        "key confusion": (bearer(forged(issuer, {"alg": "HS256", "kid": "one"}, public)), *invalid),
        "wrong algorithm": (bearer(forged(issuer, {"alg": "ES256", "kid": "one"}, public)), *invalid),
        "unknown key": (good(key=new_key("RS256", "unknown")), *invalid),
        "other key": (good(key=new_key("RS256", "other"), header={"kid": "one"}), *invalid),
        "other tenant": ([*good()[:1], ("x-tenant-id", "globex")], DENIED, "TENANT_DENIED"),
        "no tenant": ([*good(tenants=["acme", "globex"])[:1]], UNAUTHENTICATED, "TENANT_MISSING"),
        "two tokens": ([*good(), good()[0]], *malformed),
        "two tenants": ([*good(), ("x-tenant-id", "globex")], *malformed),
        "actor beside a token": ([*good(), ("x-actor", "user:eve")], *malformed),
        "roles beside a token": ([*good(), ("x-roles", "operator")], *malformed),
    }


async def outcome(
    channel: grpc.aio.Channel, method: str, metadata: Any, body: bytes | None = None
) -> Outcome:
    """Return how a call ends; repeat it while its token cannot be checked yet, as the answer says."""
    async with asyncio.timeout(60):
        while (ended := await once(channel, method, metadata, body))[1] == "ISSUER_UNAVAILABLE":  # noqa: ASYNC110
            await asyncio.sleep(0.2)
    return ended


async def once(channel: grpc.aio.Channel, method: str, metadata: Any, body: bytes | None) -> Outcome:
    call: Any
    body = BODIES.get(method, b"") if body is None else body
    if method in STREAMED:
        # Without a message: a call that ends while its caller writes fails in the caller as well.
        call = channel.stream_stream(method)(metadata=metadata, timeout=20)
        await call.done_writing()
    else:
        call = channel.unary_stream(method)(body, metadata=metadata, timeout=20)
    try:
        while await call.read() is not grpc.aio.EOF:
            pass
    except grpc.aio.AioRpcError as error:
        return error.code(), platform_error(error).reason
    return grpc.StatusCode.OK, ""


async def test_every_method_refuses_every_wrong_token_and_reads_nothing(
    issuer: Issuer, context: ContextService, platform: LocalPlatform
) -> None:
    called = methods()
    assert len(called) > 25
    wrong, refusals = refused(issuer), 0
    async with grpc.aio.insecure_channel(context.target) as channel:
        await statements_are_heard(issuer, channel, platform)
        for name, (metadata, *expected) in wrong.items():
            found = {
                method: await outcome(channel, method, metadata)
                for method in called
                if name != "no tenant" or method not in WITHOUT_TENANT
            }
            wanted = dict.fromkeys(found, tuple(expected))
            assert found == wanted, name
            refusals += len(found) if expected[0] in (UNAUTHENTICATED, DENIED) else 0
        for method in filter(roles_of, called):
            metadata = right(issuer, method, roles="nobody", tenant=TENANT)
            assert await outcome(channel, method, metadata) == (DENIED, "ROLE_MISSING"), method
            refusals += 1
    await recorded(platform, refusals)
    left = beside_the_audit(statements(platform))
    assert "audit_write" not in left
    assert TENANT not in left


def beside_the_audit(log: str) -> str:
    """Return a log of statements without those that write the audit, each with its parameters."""
    kept, audits = [], set()
    for line in log.splitlines():
        process = line[line.find("[") : line.find("]")]
        if "audit_write_0022(" in line:
            audits.add(process)
        elif " LOG: " in line or process not in audits:
            audits.discard(process)
            kept.append(line)
    return "\n".join(kept)


async def recorded(platform: LocalPlatform, refusals: int) -> None:
    """Wait until the audit has all refusals, in few rows."""
    admin = await asyncpg.connect(platform.postgres.dsn)
    try:
        statement = "select coalesce(sum(times), 0), count(*) from orders.audit where kind = 'refusal'"
        async with asyncio.timeout(60):
            while (found := await admin.fetchrow(statement))[0] < refusals:
                await admin.execute("select pg_sleep(0.1)")
    finally:
        await admin.close()
    assert found[0] == refusals
    assert found[1] < refusals


async def test_every_method_answers_who_may_call_it(issuer: Issuer, context: ContextService) -> None:
    """With the body that it has here most commands are invalid, and what is asked for is not there."""
    may = {grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND}
    async with grpc.aio.insecure_channel(context.target) as channel:
        for method in methods():
            for role in sorted(roles_of(method)) or ["nobody"]:
                code, reason = await outcome(channel, method, right(issuer, method, roles=role))
                assert code in may, (method, role, code, reason)


async def test_every_method_of_all_tenants_refuses_who_is_bound_to_some(
    issuer: Issuer, context: ContextService
) -> None:
    bound = issuer.token(tenants=["acme", "globex"], roles=sorted(EVERY_ROLE))
    async with grpc.aio.insecure_channel(context.target) as channel:
        for method in methods():
            if method.startswith(OF_EVERY_TENANT):
                ended = await outcome(channel, method, [("authorization", f"Bearer {bound}")])
                assert ended == (DENIED, "TENANT_DENIED"), method


@pytest.mark.parametrize("sent_by", ["its method", "Execute", "Submit"])
async def test_what_is_for_somebody_else_is_refused_and_nothing_is_read(
    issuer: Issuer, context: ContextService, platform: LocalPlatform, sent_by: str
) -> None:
    tenant = f"nosy-{sent_by.rpartition(' ')[2].lower()}"
    theirs = place("o-1", customer="ann")
    method, body = "/orders.v1.Orders/PlaceOrder", theirs.SerializeToString()
    if sent_by != "its method":
        method, body = f"/intent.v1.Commands/{sent_by}", execute(theirs)
    metadata = eve(issuer, tenant)
    async with grpc.aio.insecure_channel(context.target) as channel:
        await statements_are_heard(issuer, channel, platform)
        assert await outcome(channel, method, metadata, body) == NOT_THE_OWNER
    assert tenant not in beside_the_audit(statements(platform))


async def test_every_method_for_owners_refuses_everybody_else(
    issuer: Issuer, context: ContextService, platform: LocalPlatform
) -> None:
    """An order of somebody else and none are the same to whoever may act only on her own."""
    contracts: list[CommandContract | QueryContract]
    contracts = [*REGISTRY.commands.values(), *REGISTRY.queries.values()]
    assert {c.method for c in contracts if c.context == "orders" and c.owned} == {
        "/orders.v1.Orders/PlaceOrder",
        *(f"/orders.v1.Orders/{message.DESCRIPTOR.name}" for message, _ in OF_OTHERS),
    }
    ann = issuer.token(tenants=["owners"], roles=["customer"])
    async with IntentClient.connect(context.target, token=f"Bearer {ann}", registry=REGISTRY) as client:
        placed = await client.execute(place("o-1"))
        await client.query(GetOrder(order_id="o-1"), OrderView, min_position=placed.position)
    async with grpc.aio.insecure_channel(context.target) as channel:
        await statements_are_heard(issuer, channel, platform)
        before = len(statements(platform))
        for message, expected in OF_OTHERS:
            method = f"/orders.v1.Orders/{message.DESCRIPTOR.name}"
            for order in ("o-1", "none"):
                if "order_id" in message.DESCRIPTOR.fields_by_name:
                    message.order_id = order  # type: ignore[attr-defined]
                body = message.SerializeToString()
                assert await outcome(channel, method, eve(issuer, "owners"), body) == expected
    said = beside_the_audit(statements(platform)[before:])
    reads = [line for line in said.splitlines() if ".order_view" in line or '."order_' in line]
    assert reads
    assert all('v."customer_id" = $' in line for line in reads)
    assert "'eve'" in said
    async with IntentClient.connect(context.target, token=f"Bearer {ann}", registry=REGISTRY) as client:
        assert (await client.query(GetOrder(order_id="o-1"), OrderView)).version == 1


def eve(issuer: Issuer, tenant: str) -> list[tuple[str, str]]:
    """Return the metadata of a customer who owns nothing."""
    token = issuer.token(sub="eve", tenants=[tenant], roles=["customer"])
    return [("authorization", f"Bearer {token}")]


def right(issuer: Issuer, method: str, *, roles: str, tenant: str = "known") -> list[tuple[str, str]]:
    """Return the metadata of a caller for a tenant, or for all of them where the method concerns all."""
    tenants = None if method.startswith(OF_EVERY_TENANT) or roles == "consumer-all" else [tenant]
    return [("authorization", f"Bearer {issuer.token(tenants=tenants, roles=roles)}")]


def roles_of(method: str) -> frozenset[str]:
    """Return the roles of which a method needs one, as the contract or the documentation says."""
    service, _, name = method[1:].rpartition("/")
    if service in PLATFORM:
        return PLATFORM[service].get(name, PLATFORM[service].get("", frozenset()))
    taken = Default().FindServiceByName(service).methods_by_name[name].input_type.full_name
    contract = REGISTRY.commands.get(taken) or REGISTRY.queries[taken]
    return frozenset() if ANY_CALLER in contract.roles else contract.roles


def statements(platform: LocalPlatform) -> str:
    """Return what PostgreSQL has logged: all statements with their parameters."""
    log: str = platform.postgres.log.read_text(errors="replace")
    return log


async def statements_are_heard(issuer: Issuer, channel: grpc.aio.Channel, platform: LocalPlatform) -> None:
    """Let PostgreSQL log all statements, and wait until one of a caller is in the log."""
    admin = await asyncpg.connect(platform.postgres.dsn)
    await admin.execute("alter system set log_statement = 'all'")
    await admin.execute("select pg_reload_conf()")
    await admin.close()
    metadata = [("authorization", f"Bearer {issuer.token(tenants='heard', roles='service')}")]
    async with asyncio.timeout(60):
        while "heard" not in statements(platform):
            assert (await outcome(channel, "/intent.v1.Events/Subscribe", metadata))[0] is grpc.StatusCode.OK


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
            await calling.execute(place("o-3", customer="bob"))
    finally:
        await issuer.start()
    async with client(tenants="globex") as calling:
        with pytest.raises(PermissionDenied):
            await calling.acting(tenant="acme").execute(place("o-4"))
