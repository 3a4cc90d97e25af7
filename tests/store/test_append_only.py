"""The log is append-only, for the role that owns its tables too."""

from __future__ import annotations

import asyncpg
import pytest
from intent.store.postgres import PostgresEventStore

from ..support.databases import Database
from .builders import ACME, command, key, to
from .transactions import connected

CHANGES = (
    "update events set actor = 'somebody'",
    "delete from events",
    "truncate events",
    "update commands set outcome = ''",
    "delete from commands",
    "truncate commands",
    "truncate events, commands, snapshots",
)


@pytest.mark.parametrize("granted", [False, True])
@pytest.mark.parametrize("tenant", [None, ACME])
async def test_not_even_the_owner_changes_what_is_recorded(
    database: Database, postgres_store: PostgresEventStore, tenant: str | None, *, granted: bool
) -> None:
    await postgres_store.append([to(key("o-1", ACME), 0, command(1))])
    async with connected(database.owner, database, tenant) as owner:
        if granted:
            await owner.execute(f"grant all on all tables in schema {database.context} to current_user")
        for change in CHANGES:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await owner.execute(change)
    async with connected(database.admin, database) as admin:
        for table in ("events", "commands"):
            assert await admin.fetchval(f"select count(*) from {table}") == 1
