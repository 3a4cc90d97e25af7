"""What operators do to a real process, and what it refuses, is in the audit; the command line shows it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pool import Default
from google.protobuf.message import Message
from intent.client import IntentClient
from intent.contracts import Registry
from intent.dev.platform import ContextService, LocalPlatform
from intent_contracts.intent.v1 import (
    CancelSagaRequest,
    DropParkedRequest,
    RebuildProjectionRequest,
    RemoveConsumerRequest,
    ReplayParkedRequest,
    ResumeSagaRequest,
    SkipEventRequest,
    TerminateSagaRequest,
)

from ..cli.running import ROOT, environment, intent
from ..service.support import place

READING = {
    "Audit": {"ListAudit", "GetAuditHeads"},
    # What these write is in the log, with who sent it.
    "Commands": {"Execute", "Submit", "GetCommand", "Describe"},
    "Consumers": {"Consume", "ListConsumers", "ListParked"},
    "Events": {"ReadStream", "Subscribe"},
    "Projections": {"ListProjections"},
    "Sagas": {"ListSagas", "GetSaga"},
}
SAGA = "orders.v1.FulfilOrder/acme/o-1"
WHY = "a test, ticket 88"
PARKED = ReplayParkedRequest(consumer="old", aggregate_type="Order", aggregate_id="o-1", reason=WHY)
ACTIONS: dict[str, Message] = {
    "Projections/RebuildProjection": RebuildProjectionRequest(name="Unknown", reason=WHY),
    "Projections/SkipEvent": SkipEventRequest(name="Unknown", position=7, reason=WHY),
    "Sagas/ResumeSaga": ResumeSagaRequest(id=SAGA, reason=WHY),
    "Sagas/CancelSaga": CancelSagaRequest(id=SAGA, reason=WHY),
    "Sagas/TerminateSaga": TerminateSagaRequest(id=SAGA, reason=WHY),
    "Consumers/RemoveConsumer": RemoveConsumerRequest(consumer="old", reason=WHY),
    "Consumers/ReplayParked": PARKED,
    "Consumers/DropParked": DropParkedRequest(consumer="old", position=7, reason=WHY),
}


@pytest.fixture(scope="module")
def platform() -> Iterator[LocalPlatform]:
    with LocalPlatform(durable=False, keep_workflows=False) as running:
        yield running


@pytest.fixture(scope="module")
def context(platform: LocalPlatform) -> Iterator[ContextService]:
    asyncio.run(platform.prepare("orders"))
    with platform.service("orders") as running:
        yield running


def operators_methods() -> set[str]:
    """Return the methods of the platform that change something; a new one must be named here."""
    files = (ROOT / "proto" / "intent" / "v1").glob("*.proto")
    services = [
        service
        for file in files
        for service in Default().FindFileByName(f"intent/v1/{file.name}").services_by_name.values()
    ]
    assert {service.name for service in services} == set(READING)
    return {
        f"{service.name}/{method.name}"
        for service in services
        for method in service.methods
        if method.name not in READING[service.name]
    }


def call(context: ContextService, name: str, request: Message, **metadata: str) -> grpc.StatusCode:
    return asyncio.run(_call(context, name, request, metadata))


async def _call(
    context: ContextService, name: str, request: Message, metadata: dict[str, str]
) -> grpc.StatusCode:
    metadata = {"x_tenant_id": "acme", "x_actor": "user:ann", "x_correlation_id": "ticket-88", **metadata}
    pairs = [(key.replace("_", "-"), value) for key, value in metadata.items()]
    async with grpc.aio.insecure_channel(context.target) as channel:
        calling: Any = channel.unary_stream(f"/intent.v1.{name}")(
            request.SerializeToString(), metadata=pairs, timeout=60
        )
        try:
            while await calling.read() is not grpc.aio.EOF:
                pass
        except grpc.aio.AioRpcError as error:
            code: grpc.StatusCode = error.code()
            return code
    return grpc.StatusCode.OK


def shown(context: ContextService, *options: str) -> list[dict[str, Any]]:
    """Return the entries that the command line exports."""
    done = intent("audit", "export", *options, env=environment(INTENT_TARGET=context.target))
    assert done.code == 0, done.err
    return [json.loads(line) for line in done.out.splitlines()]


def test_every_method_by_which_an_operator_changes_something_is_known() -> None:
    assert operators_methods() == set(ACTIONS)


def test_every_action_of_an_operator_is_recorded(context: ContextService) -> None:
    for name, request in ACTIONS.items():
        assert call(context, name, request) is not grpc.StatusCode.UNAVAILABLE, name
    entries = {entry["method"]: entry for entry in shown(context, "--by", "user:ann")}
    assert set(entries) == {f"/intent.v1.{name}" for name in ACTIONS}
    tenants = {method: entry.pop("tenant_id") for method, entry in entries.items()}
    # There is no event that could be skipped.
    assert tenants == {method: "*" if "Projections" in method else "acme" for method in entries}
    for entry in entries.values():
        assert (entry["kind"], entry["reason"], entry["peer"]) == ("AUDIT_KIND_ACTION", WHY, "127.0.0.1")
        assert entry["correlation_id"] == "ticket-88"
    assert json.loads(entries["/intent.v1.Consumers/DropParked"]["target"])["position"] == "7"


def test_an_action_is_an_entry_of_the_tenant_on_whose_data_it_is(context: ContextService) -> None:
    """Whatever tenant the operator of all tenants names: an event's, or one that is asked for."""
    position = asyncio.run(placed(context, "globex"))
    every: dict[str, Any] = {"consumer": "old", "all_tenants": True, "reason": WHY}
    actions: dict[str, Message] = {
        "Projections/SkipEvent": SkipEventRequest(name="Unknown", position=position, reason=WHY),
        "Consumers/ReplayParked": ReplayParkedRequest(
            **every, aggregate_type="Order", aggregate_id="o-9", tenant_id="globex"
        ),
        "Consumers/DropParked": DropParkedRequest(**every, position=position),
    }
    for name, request in actions.items():
        assert call(context, name, request, x_actor="user:bob") is grpc.StatusCode.NOT_FOUND, name
    removal = RemoveConsumerRequest(**every)
    assert call(context, "Consumers/RemoveConsumer", removal, x_actor="user:bob") is grpc.StatusCode.NOT_FOUND
    of_tenant = shown(context, "--by", "user:bob", "--of-tenant", "globex")
    assert [entry["method"] for entry in of_tenant] == [f"/intent.v1.{name}" for name in actions]
    (of_all,) = shown(context, "--by", "user:bob", "--of-tenant", "*")
    assert of_all["method"] == "/intent.v1.Consumers/RemoveConsumer"


async def placed(context: ContextService, tenant: str) -> int:
    """Place an order of a tenant, and return the position of its event."""
    async with IntentClient.connect(context.target, tenant=tenant, registry=Registry.load()) as client:
        await client.execute(place("o-9"))
        return [event.position async for event in client.events(follow=False)][-1]


def test_a_refused_operator_has_an_entry_and_no_action(context: ContextService) -> None:
    denied = grpc.StatusCode.PERMISSION_DENIED
    for name, request in ACTIONS.items():
        assert call(context, name, request, x_actor="user:eve", x_roles="customer") is denied, name
    context.stop()
    context.start()
    entries = shown(context, "--by", "user:eve")
    assert {entry["method"] for entry in entries} == {f"/intent.v1.{name}" for name in ACTIONS}
    assert {entry["kind"] for entry in entries} == {"AUDIT_KIND_REFUSAL"}
    assert {entry["reason"] for entry in entries} == {"ROLE_MISSING"}


def test_the_command_line_records_lists_and_verifies(
    context: ContextService, platform: LocalPlatform, tmp_path: Any
) -> None:
    env = environment(INTENT_TARGET=context.target, **platform.settings("orders"))
    again = intent("redeliver", "orders", "--no-wait", "--reason", WHY, env=env)
    assert again.code == 0, again.err
    assert intent("migrate", "orders", "--new-epoch", "--reason", WHY, env=env).code == 0
    administrator = {**env, "INTENT_ADMIN_DATABASE_URL": platform.postgres.dsn}
    provisioned = intent("migrate", "orders", "--provision", "--reason", WHY, env=administrator)
    assert provisioned.code == 0, provisioned.err
    # Temporal knows no such version; what was about to be done is recorded all the same.
    ended = ("deploy", "promote", "orders", "--build-id", "v1", "--ramp", "0", "--reason", WHY)
    assert intent(*ended, env=env).code != 0
    entries = [entry for entry in shown(context) if entry["actor"].startswith("local:")]
    assert [entry["method"] for entry in entries] == [
        "intent migrate",
        "intent redeliver",
        "intent migrate --new-epoch",
        "intent migrate",
        "intent deploy promote",
    ]

    listed = intent("audit", "list", "--kind", "action", "--since", "1h", "--limit", "2", env=env)
    assert listed.code == 0, listed.err
    assert "intent deploy promote" in listed.out
    assert WHY in listed.out
    # What was done failed.
    assert "allowed" in listed.out
    target = json.loads(entries[3]["target"])
    assert (target["before"] == target["after"], target["provisioned"]) == (True, True)
    assert intent("audit", "list", "--since", "yesterday", env=env).code == 2

    head = tmp_path / "head.json"
    head.write_text(intent("audit", "head", env=env).out)
    verified = intent("audit", "verify", "orders", "--head", str(head), env=env)
    assert verified.code == 0, verified.out + verified.err
    values = json.loads(head.read_text())
    head.write_text(json.dumps({**values, "audit": {**values["audit"], "position": 99}}))
    verified = intent("audit", "verify", "orders", "--head", str(head), "--json", env=env)
    assert verified.code == 5
    (finding,) = json.loads(verified.out)["audit"]["findings"]
    assert finding["last"] == 99
    head.write_text("{}")
    assert intent("audit", "verify", "orders", "--head", str(head), env=env).code == 3
