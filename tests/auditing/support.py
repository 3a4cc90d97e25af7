"""A log and an audit with a few rows, and what somebody does to them behind the platform's back."""

from __future__ import annotations

import json
from collections.abc import Sequence

from intent.auditing import ACTION, REFUSAL, AuditDatabase, AuditEntry, Finding, Head, verify
from intent.store.postgres import PostgresEventStore

from ..store.builders import command, key, to
from ..store.transactions import connected
from ..support.databases import Database

APPENDS = (1, 3, 1, 2, 3)
"""The number of rows of each append: 10 in all."""
PARTS = ("events", "audit")
COPY = "insert into {of} select (jsonb_populate_record(x, '{change}')).* from {of} x where x.position = 10"


def head_of(of: str) -> str:
    """Return the table with the position of the log or of the audit."""
    return "head" if of == "events" else "audit_head"


def copied(of: str, position: int) -> str:
    """Return the statement that records a tenth row a second time, at another position, by somebody else."""
    change = {"position": position, "version": 1000 + position, "actor": "user:eve"}
    return COPY.format(of=of, change=json.dumps(change))


async def fill(store: PostgresEventStore, audit: AuditDatabase, appends: Sequence[int] = APPENDS) -> None:
    """Append to the log and to the audit, each in so many links."""
    for n, rows in enumerate(appends):
        data = [command(1, actor=f"user:{n}", correlation_id=f"é{n}") for _ in range(rows)]
        await store.append([to(key(f"o-{await store.position()}"), 0, *data)])
        await audit.write(
            [AuditEntry(ACTION if row else REFUSAL, f"/m/{n}", actor="user:ann") for row in range(rows)]
        )


async def tampered(database: Database, *statements: str) -> None:
    """Run statements as a superuser for whom no trigger fires."""
    async with connected(database.admin, database) as admin:
        await admin.execute("set session_replication_role = replica")
        for statement in statements:
            assert (await admin.execute(statement)).split()[-1] != "0", f"{statement} changes nothing"


async def found(audit: AuditDatabase, of: str, exported: Head | None = None) -> list[Finding]:
    """Return what verification finds."""
    return (await verify(audit, of, exported)).findings
