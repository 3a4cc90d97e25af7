"""What is recorded while nobody extends the chain is found, also when others append to it later."""

from __future__ import annotations

import pytest
from intent.auditing import AuditDatabase, Finding
from intent.store.postgres import PostgresEventStore

from ..store.transactions import connected
from ..support.databases import Database
from .support import PARTS, copied, fill, found, head_of, tampered

PAST = Finding(11, 12, "recorded past the chain")


async def slipped_in(database: Database, of: str) -> None:
    """Append two rows, and keep the position of the head right, without the chain."""
    await tampered(
        database,
        *(copied(of, position) for position in (11, 12)),
        f"update {head_of(of)} set position = 12",
    )


@pytest.mark.parametrize("of", PARTS)
async def test_rows_past_the_chain_are_found_when_others_append_after_them(
    database: Database, postgres_store: PostgresEventStore, audit: AuditDatabase, of: str
) -> None:
    await fill(postgres_store, audit)
    exported = (await audit.heads())[of]
    await slipped_in(database, of)
    assert await found(audit, of) == [Finding(11, 12, "the position of the head was changed")]
    await fill(postgres_store, audit)
    assert await found(audit, of) == await found(audit, of, exported) == [PAST]


@pytest.mark.parametrize("of", PARTS)
async def test_rows_that_are_appended_while_the_owner_has_disabled_the_trigger_are_found(
    database: Database, postgres_store: PostgresEventStore, audit: AuditDatabase, of: str
) -> None:
    await fill(postgres_store, audit)
    async with connected(database.owner, database) as owner:
        await owner.execute(f"alter table {of} disable trigger chain_extend")
        await fill(postgres_store, audit, [2])
        await owner.execute(f"alter table {of} enable trigger chain_extend")
    await fill(postgres_store, audit)
    assert await found(audit, of) == [PAST]


@pytest.mark.parametrize("of", PARTS)
async def test_a_chain_whose_head_is_moved_past_rows_is_found(
    database: Database, postgres_store: PostgresEventStore, audit: AuditDatabase, of: str
) -> None:
    await fill(postgres_store, audit)
    await slipped_in(database, of)
    await tampered(database, f"update {of}_chain_head set chained = 12")
    await fill(postgres_store, audit, [1])
    assert await found(audit, of) == [PAST, Finding(13, 13, "its link of the chain was changed or inserted")]


@pytest.mark.parametrize("of", PARTS)
async def test_where_a_link_says_that_the_chain_was_before_it_is_checked(
    database: Database, postgres_store: PostgresEventStore, audit: AuditDatabase, of: str
) -> None:
    await fill(postgres_store, audit)
    await tampered(
        database,
        f"update {of}_chain set before = 3 where last = 7",
        f"update {of} set actor = 'user:eve' where position = 6",
    )
    inserted = Finding(6, 7, "its link of the chain was changed or inserted")
    assert await found(audit, of) == [inserted, Finding(6, 6, "changed")]


@pytest.mark.parametrize("of", PARTS)
@pytest.mark.parametrize("when", ["'infinity'", "'-infinity'", "'20000-01-01'", "'4000-01-01 BC'", "null"])
async def test_a_time_that_python_does_not_know_is_a_change(
    database: Database, postgres_store: PostgresEventStore, audit: AuditDatabase, of: str, when: str
) -> None:
    await fill(postgres_store, audit)
    await tampered(
        database,
        f"alter table {of} alter column recorded_at drop not null",
        f"update {of} set recorded_at = {when} where position = 4",
    )
    assert await found(audit, of) == [Finding(4, 4, "changed")]
