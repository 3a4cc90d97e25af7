"""Refusals and actions are recorded; what cannot be recorded is not done."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Any

import grpc
import pytest
import pytest_asyncio
from intent.auditing import ACTION, REFUSAL, AuditEntry, MemoryAudit
from intent.errors import IntentError, StoreUnavailable, Unauthenticated, Unavailable
from intent.identity import Identity

from .support import MemoryRouter, Served, place, served
from .test_sagas import _saga
from .wire import reflected

SAGA = "orders.v1.FulfilOrder/acme/o-1"


class Closed(MemoryAudit):
    """A log whose database is unavailable."""

    async def write(self, entries: object) -> None:
        raise StoreUnavailable("no")


class Strict:
    """Knows nobody."""

    async def authenticate(self, metadata: object, certificate: object = str) -> Identity:
        raise Unauthenticated("TOKEN_MISSING", "the call carries no token")


class Waiting(MemoryAudit):
    """A log that is written only once commands are drained.

    Attributes:
        writing: Set when somebody writes.
        draining: Set when commands are drained.
    """

    def __init__(self) -> None:
        super().__init__()
        self.writing, self.draining = asyncio.Event(), asyncio.Event()

    async def write(self, entries: Sequence[AuditEntry]) -> None:
        self.writing.set()
        await self.draining.wait()
        await super().write(entries)


class Draining:
    """A router whose commands finish only once the audit is written."""

    def __init__(self, router: MemoryRouter, log: Waiting) -> None:
        self._router = router
        self._log = log
        self.drained = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._router, name)

    async def drain(self, timeout: float) -> bool:
        self._log.draining.set()
        async with asyncio.timeout(60):
            await self._log.writing.wait()
        self.drained = self._router.closed
        return await self._router.drain(timeout)


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
        metadata = (("authorization", "Bearer of something else"), ("x-tenant-id", "acme"))
        assert await reflected(channel, *metadata) is grpc.StatusCode.UNAUTHENTICATED
    await audited.server.audit.flush()
    (entry,) = log.entries
    assert (entry.actor, entry.tenant, entry.reason) == ("", "acme", "TOKEN_UNKNOWN")
    assert entry.method.endswith("/ServerReflectionInfo")


async def test_callers_who_are_not_known_make_one_entry_whatever_tenants_they_name(log: MemoryAudit) -> None:
    async with served(audit=log, identities=Strict()) as serving:
        for n in range(20):
            with pytest.raises(Unauthenticated):
                await serving.client(f"tenant-{n}").execute(place("o-1"))
        await serving.server.audit.flush()
    (entry,) = log.entries
    assert (entry.reason, entry.times, entry.actor, entry.tenant) == ("TOKEN_MISSING", 20, "", "")


async def test_a_stop_records_refusals_while_commands_finish() -> None:
    """The database may be what holds both up: neither takes the other's time."""
    async with served(audit=(log := Waiting())) as serving:
        router = Draining(MemoryRouter(serving.context, serving.store, serving.read_models), log)
        await serving.restart(router)
        with pytest.raises(IntentError):
            await serving.client(roles=["nobody"]).execute(place("o-1"))
        await serving.server.stop()
    assert router.drained
    assert [entry.reason for entry in log.entries] == ["ROLE_MISSING"]
