"""Refusals and actions are recorded; what cannot be recorded is not done."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator

import grpc
import pytest
import pytest_asyncio
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from intent.auditing import ACTION, REFUSAL, AuditEntry, MemoryAudit
from intent.errors import IntentError, StoreUnavailable, Unavailable

from .support import Served, place, served
from .test_sagas import _saga

SAGA = "orders.v1.FulfilOrder/acme/o-1"


class Closed(MemoryAudit):
    """A log whose database is unavailable."""

    async def write(self, entries: object) -> None:
        raise StoreUnavailable("no")


@pytest_asyncio.fixture
async def log() -> MemoryAudit:
    return MemoryAudit()


@pytest_asyncio.fixture
async def audited(log: MemoryAudit) -> AsyncIterator[Served]:
    async with served(audit=log) as serving:
        serving.sagas.sagas = [_saga("o-1")]
        yield serving


async def test_an_action_is_recorded_with_who_from_where_and_why(audited: Served, log: MemoryAudit) -> None:
    await audited.client(actor="user:ann").sagas.cancel(SAGA, "ticket 88")
    assert log.entries == [
        AuditEntry(
            ACTION,
            "/intent.v1.Sagas/CancelSaga",
            actor="user:ann",
            tenant="acme",
            peer="127.0.0.1",
            reason="ticket 88",
            target='{"id": "orders.v1.FulfilOrder/acme/o-1"}',
        )
    ]
    assert audited.sagas.actions == [("cancel", SAGA, "user:ann", "ticket 88")]


async def test_what_cannot_be_recorded_is_not_done() -> None:
    async with served(audit=Closed()) as serving:
        serving.sagas.sagas = [_saga("o-1")]
        client = serving.client(timeout=2)
        with pytest.raises(IntentError) as error:
            await client.sagas.cancel(SAGA, "ticket 88")
        cause = error.value if isinstance(error.value, Unavailable) else error.value.__cause__
        assert isinstance(cause, Unavailable)
        assert cause.reason == "AUDIT_UNAVAILABLE"
        assert serving.sagas.actions == []
        # Whoever commands and reads needs no audit.
        await client.execute(place("o-1"))


async def test_refusals_are_recorded_in_groups(audited: Served, log: MemoryAudit) -> None:
    stranger = audited.client(actor="user:eve", roles=["nobody"])
    for _ in range(20):
        with pytest.raises(IntentError):
            await stranger.execute(place("o-1"))
        with pytest.raises(IntentError):
            await stranger.sagas.cancel(SAGA, "ticket 88")
    with pytest.raises(IntentError):
        await audited.client(tenant="").execute(place("o-1"))
    await audited.server.audit.flush()
    times: Counter[tuple[str, str, str]] = Counter()
    for entry in log.entries:
        times[entry.method, entry.actor, entry.reason] += entry.times
    assert times == {
        ("/orders.v1.Orders/PlaceOrder", "user:eve", "ROLE_MISSING"): 20,
        ("/intent.v1.Sagas/CancelSaga", "user:eve", "ROLE_MISSING"): 20,
        ("/orders.v1.Orders/PlaceOrder", "dev", "TENANT_MISSING"): 1,
    }
    assert {entry.kind for entry in log.entries} == {REFUSAL}
    assert {entry.peer for entry in log.entries} == {"127.0.0.1"}
    assert audited.sagas.actions == []


async def test_who_is_refused_reflection_is_recorded(audited: Served, log: MemoryAudit) -> None:
    async with grpc.aio.insecure_channel(audited.server.target) as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        metadata = [("authorization", "Bearer of something else"), ("x-tenant-id", "acme")]
        with pytest.raises(grpc.aio.AioRpcError) as error:
            async for _ in stub.ServerReflectionInfo(iter([request]), metadata=metadata):
                pass
    assert error.value.code() is grpc.StatusCode.UNAUTHENTICATED
    await audited.server.audit.flush()
    (entry,) = log.entries
    assert (entry.actor, entry.tenant, entry.reason) == ("", "acme", "TOKEN_UNKNOWN")
    assert entry.method.endswith("/ServerReflectionInfo")
