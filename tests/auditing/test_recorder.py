"""Refusals are recorded soon and never flood the table; an action that cannot be recorded is not done."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest
from intent.auditing import (
    ACTION,
    REFUSAL,
    AuditDatabase,
    AuditEntry,
    AuditFilter,
    Auditor,
    MemoryAudit,
    host_of,
)
from intent.background import Background
from intent.errors import InvalidCommand, StoreUnavailable, Unavailable

EVERYTHING = AuditFilter()


def refusal(actor: str = "user:eve", peer: str = "10.0.0.7") -> AuditEntry:
    return AuditEntry(REFUSAL, "/orders.v1.Orders/PlaceOrder", actor, "acme", peer, "ROLE_MISSING")


class Watched(MemoryAudit):
    """A log that says when it is written, and whose database may be unavailable."""

    def __init__(self, *, available: bool = True) -> None:
        super().__init__()
        self.available = available
        self.written = asyncio.Event()

    async def write(self, entries: Sequence[AuditEntry]) -> None:
        if not self.available:
            raise StoreUnavailable("no")
        await super().write(entries)
        self.written.set()

    async def wait(self) -> None:
        """Wait until it is written, once more."""
        async with asyncio.timeout(60):
            await self.written.wait()
        self.written.clear()


async def test_ten_thousand_refusals_become_few_rows_and_none_is_lost(audit: AuditDatabase) -> None:
    background = Background()
    auditor = Auditor(audit, background, groups=8)
    for n in range(10_000):
        auditor.refused(refusal(actor=f"user:{n % 20}"))
    assert auditor.pending == auditor.refusals == 10_000
    await auditor.close()
    await background.stop()
    rows = await audit.read(EVERYTHING, most=1000)
    assert [row.actor for row in rows] == [*(f"user:{n}" for n in range(8)), ""]
    assert [row.times for row in rows] == [*[500] * 8, 6000]
    assert (rows[-1].reason, auditor.untold, auditor.pending) == ("OTHER_REFUSALS", 6000, 0)
    assert all(row.since <= row.recorded_at for row in rows)


async def test_a_refusal_is_recorded_by_itself() -> None:
    log, background = Watched(), Background()
    auditor = Auditor(log, background, interval=0.01)
    for peer in ("10.0.0.7", "10.0.0.8"):
        auditor.refused(refusal(peer=peer))
        await log.wait()
    assert [entry.peer for entry in log.entries] == ["10.0.0.7", "10.0.0.8"]
    await background.stop()


async def test_refusals_wait_for_a_database_that_is_unavailable() -> None:
    log, background = Watched(available=False), Background()
    auditor = Auditor(log, background, interval=0.01)
    auditor.refused(refusal())
    with pytest.raises(StoreUnavailable):
        await auditor.flush()
    auditor.refused(refusal())
    assert auditor.pending == 2
    log.available = True
    await log.wait()
    assert [entry.times for entry in log.entries] == [2]
    await auditor.close()
    await background.stop()


async def test_an_action_that_cannot_be_recorded_is_not_to_be_done() -> None:
    auditor = Auditor(Watched(available=False), Background())
    with pytest.raises(Unavailable, match="nothing was done") as error:
        await auditor.acted(AuditEntry(ACTION, "/intent.v1.Projections/SkipEvent"))
    assert error.value.reason == "AUDIT_UNAVAILABLE"


async def test_a_reason_that_cannot_be_kept_is_refused(audit: AuditDatabase) -> None:
    with pytest.raises(InvalidCommand):
        await Auditor(audit, Background()).acted(AuditEntry(ACTION, "/m", reason="a\0b"))
    assert await audit.read(EVERYTHING) == []


async def test_entries_are_read_by_what_they_are(audit: AuditDatabase) -> None:
    await audit.write([refusal(), AuditEntry(ACTION, "/m", "user:ann", "acme"), AuditEntry(ACTION, "/n")])
    first, second, _ = rows = await audit.read(EVERYTHING)
    assert [row.position for row in rows] == [1, 2, 3]
    assert await audit.read(EVERYTHING, newest=True, most=2) == list(rows[:0:-1])
    assert await audit.read(EVERYTHING, newest=True, before=3) == list(rows[1::-1])
    assert await audit.read(EVERYTHING, after=1, most=1) == [second]
    assert await audit.read(AuditFilter(actor="user:ann", kind=ACTION, tenant="acme")) == [second]
    assert await audit.read(AuditFilter(until=first.recorded_at)) == []
    assert await audit.read(AuditFilter(since=first.recorded_at)) == rows


def test_a_peer_is_its_address() -> None:
    assert host_of("ipv4:10.0.0.7:4711") == "10.0.0.7"
    assert host_of("ipv6:%5B::1%5D:4711") == "::1"
    assert host_of("unix:/tmp/socket") == "unix:/tmp/socket"


async def test_nobody_hides_the_refusals_of_others(audit: AuditDatabase) -> None:
    """Neither callers who are not known, nor one who is, whatever tenants and methods they name."""
    background = Background()
    auditor = Auditor(audit, background, groups=16)
    for n in range(100):
        unknown = AuditEntry(REFUSAL, "/m", "", f"tenant-{n}", "10.0.0.9", "TOKEN_MISSING")
        auditor.refused(unknown, known=False)
        auditor.refused(replace(unknown, method=f"/m{n}"), known=False)
        auditor.refused(replace(refusal("user:mallory"), method=f"/m{n}"))
    auditor.refused(refusal("user:eve"))
    # Who has shown a token names tenants as well.
    for tenant in ("globex", "initech"):
        auditor.refused(replace(refusal("user:bob"), tenant=tenant, reason="TENANT_DENIED"), known=False)
    await auditor.close()
    await background.stop()
    rows = await audit.read(EVERYTHING, most=1000)
    named = Counter(row.actor for row in rows if row.reason != "OTHER_REFUSALS")
    assert named == {"": 4, "user:mallory": 4, "user:eve": 1, "user:bob": 1}
    by_actor = {row.actor: row for row in rows if row.method == refusal().method or row.method == "/m"}
    assert (by_actor[""].times, by_actor[""].tenant) == (100, "")
    assert (by_actor["user:bob"].times, by_actor["user:bob"].tenant) == (2, "")
    assert by_actor["user:eve"].tenant == "acme"
    assert sum(row.times for row in rows) == auditor.refusals == 303
