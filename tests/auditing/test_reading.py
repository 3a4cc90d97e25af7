"""Entries are found without reading all the others."""

from __future__ import annotations

from datetime import timedelta

import pytest
from intent.auditing import ACTION, REFUSAL, AuditDatabase, AuditEntry, AuditFilter, verify

from ..store.transactions import connected
from ..support.databases import Database
from .support import tampered

REFUSALS = 5000
FETCHED = """
select coalesce(sum(seq_tup_read + idx_tup_fetch), 0)::int from pg_stat_xact_user_tables
where relid = 'audit'::regclass
"""


@pytest.mark.parametrize("newest", [False, True])
async def test_what_is_sought_is_found_without_reading_everything(
    database: Database, audit: AuditDatabase, newest: bool
) -> None:
    await audit.write([AuditEntry(ACTION, "/first", "user:ann", "acme")])
    await audit.write([AuditEntry(REFUSAL, f"/{n}", "user:eve", "globex") for n in range(REFUSALS)])
    await audit.write([AuditEntry(ACTION, "/last", "user:ann", "acme")])
    await tampered(
        database, f"update audit set recorded_at = now() - interval '1 day' where position <= {REFUSALS}"
    )
    last = (await audit.read(AuditFilter(), newest=True, most=1))[0]
    recent = last.recorded_at - timedelta(hours=1)
    filters = {
        "kind": ("action", None, None, None, None),
        "actor": (None, "user:ann", None, None, None),
        "tenant": (None, None, "acme", None, None),
        "all": ("action", "user:ann", "acme", None, None),
        "since": ("action", None, None, recent, None),
        "recent": (None, None, None, recent, None),
        "nobody": (None, "user:joe", None, None, None),
    }
    async with connected(database.admin, database) as admin:
        await admin.execute("analyze audit")
        for name, values in filters.items():
            async with admin.transaction():
                rows = await admin.fetch(
                    "select * from audit_read_0022(0, 1000000, $1, 100, $2, $3, $4, $5, $6)", newest, *values
                )
                assert len(rows) == {"since": 1, "nobody": 0}.get(name, 2), name
                assert await admin.fetchval(FETCHED) < REFUSALS / 10, name


async def test_findings_are_counted_when_there_are_too_many_to_keep(
    database: Database, audit: AuditDatabase
) -> None:
    await audit.write([AuditEntry(REFUSAL, f"/{n}") for n in range(20_006)])
    await tampered(database, "update audit set actor = 'user:eve' where position % 2 = 0")
    verified = await verify(audit, "audit")
    assert (len(verified.findings), verified.more_findings, verified.rows) == (10_000, 3, 10_003)
