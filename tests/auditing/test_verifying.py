"""Whatever somebody changes behind the platform's back is found, and named."""

from __future__ import annotations

import asyncpg
import pytest
from intent.auditing import AuditDatabase, Finding, verify
from intent.store.migrations.epochs import begin_epoch
from intent.store.postgres import PostgresEventStore

from ..store.builders import command, key, to
from ..store.transactions import connected
from ..support.databases import Database
from .support import COPY, PARTS, fill, found, head_of, tampered

COLUMNS = {
    "events": {
        "tenant": "'x'",
        "aggregate_type": "'x'",
        "aggregate_id": "'x'",
        "version": "version + 1000",
        "event_id": "gen_random_uuid()",
        "type": "'x'",
        "schema_version": "schema_version + 1",
        "data": "data || 'x'",
        "command_id": "gen_random_uuid()",
        "correlation_id": "'x'",
        "causation_id": "'x'",
        "actor": "'user:eve'",
        "traceparent": "'x'",
        "recorded_at": "recorded_at + interval '1 microsecond'",
        "tracestate": "'x'",
    },
    "audit": {
        "tenant": "'x'",
        "kind": "case kind when 'action' then 'refusal' else 'action' end",
        "method": "'x'",
        "actor": "'user:eve'",
        "peer": "'x'",
        "reason": "'x'",
        "target": "'x'",
        "correlation_id": "'x'",
        "times": "times + 1",
        "since": "since + interval '1 microsecond'",
        "recorded_at": "recorded_at + interval '1 microsecond'",
    },
}
SWAP = """
update {of} x set {own} = (select y.{own} from {of} y where y.position = 9 - x.position)
where x.position in (4, 5)
"""
REWRITTEN = """
with recursive anew as (
    select c.last, c.digest from {of}_chain c where c.last = 1
    union all
    select c.last, sha256(a.digest || int8send(c.first) || int8send(c.last) || (
        select string_agg(sha256(record_send({row})), '' order by e.position)
        from {of} e where e.position between c.first and c.last))
    from anew a join {of}_chain c on c.first = a.last + 1)
update {of}_chain c set digest = a.digest, marks = (
    select string_agg(substr(sha256(record_send({row})), 1, 4), '' order by e.position)
    from {of} e where e.position between c.first and c.last)
from anew a where a.last = c.last and c.last > 1
"""


def row(of: str) -> str:
    return f"row({', '.join(f'e.{name}' for name in ('position', *COLUMNS[of]))})"


@pytest.mark.parametrize("of", PARTS)
async def test_nothing_is_found_where_nothing_was_changed(
    postgres_store: PostgresEventStore, audit: AuditDatabase, of: str
) -> None:
    assert (await verify(audit, of)).findings == []
    await fill(postgres_store, audit)
    exported = (await audit.heads())[of]
    await fill(postgres_store, audit)
    for head in (None, exported):
        verified = await verify(audit, of, head)
        assert (verified.findings, verified.rows, verified.position, verified.began_after) == ([], 20, 20, 0)
    assert verified.digest == (await audit.heads())[of].digest


@pytest.mark.parametrize(("of", "column"), [(of, column) for of in PARTS for column in COLUMNS[of]])
async def test_a_change_of_any_column_is_found(
    database: Database, postgres_store: PostgresEventStore, audit: AuditDatabase, of: str, column: str
) -> None:
    await fill(postgres_store, audit)
    await tampered(database, f"update {of} set {column} = {COLUMNS[of][column]} where position = 4")
    assert await found(audit, of) == [Finding(4, 4, "changed")]


@pytest.mark.parametrize("of", PARTS)
async def test_every_column_is_chained(database: Database, of: str) -> None:
    statement = "select attname::text from pg_attribute where attrelid = $1::regclass and attnum > 0"
    async with connected(database.admin, database) as admin:
        columns = {name for (name,) in await admin.fetch(statement, of)}
    assert columns == {"position", *COLUMNS[of]}


@pytest.mark.parametrize("of", PARTS)
async def test_removed_inserted_and_swapped_rows_are_found(
    database: Database, postgres_store: PostgresEventStore, audit: AuditDatabase, of: str
) -> None:
    await fill(postgres_store, audit)
    own = "event_id" if of == "events" else "method"
    far = '{"position": 50, "version": 1000}'
    before = '{"position": -3, "version": 1001}'
    await tampered(
        database,
        f"delete from {of} where position in (2, 7, 8)",
        COPY.format(of=of, change=far),
        COPY.format(of=of, change=before),
        SWAP.format(of=of, own=own),
    )
    assert await found(audit, of) == [
        Finding(-3, -3, "inserted"),
        Finding(2, 2, "removed"),
        Finding(4, 5, "changed"),
        Finding(7, 8, "removed"),
        Finding(50, 50, "inserted"),
    ]


@pytest.mark.parametrize("of", PARTS)
async def test_a_changed_chain_is_found(
    database: Database, postgres_store: PostgresEventStore, audit: AuditDatabase, of: str
) -> None:
    await fill(postgres_store, audit)
    await tampered(database, f"delete from {of}_chain where last = 5")
    assert await found(audit, of) == [Finding(5, 5, "its link of the chain was removed")]
    await tampered(database, f"update {of}_chain set digest = sha256(digest) where last = 7")
    unfounded = Finding(8, 10, "its link of the chain does not follow from the one before")
    assert unfounded in await found(audit, of)
    await tampered(database, f"delete from {of}_chain where last < 2")
    assert "the beginning of the chain" in (await found(audit, of))[0].what
    await tampered(database, f"delete from {of}_chain")
    assert (await found(audit, of))[0].what == "the whole chain was removed"


@pytest.mark.parametrize("of", PARTS)
async def test_a_changed_head_is_found(
    database: Database, postgres_store: PostgresEventStore, audit: AuditDatabase, of: str
) -> None:
    await fill(postgres_store, audit)
    await tampered(database, f"update {of}_chain_head set digest = sha256(digest)")
    assert await found(audit, of) == [Finding(10, 10, "the head of the chain was changed")]
    await tampered(database, f"update {head_of(of)} set position = 12")
    assert (await found(audit, of))[-1] == Finding(11, 12, "the position of the head was changed")


@pytest.mark.parametrize("of", PARTS)
async def test_an_end_that_was_cut_off_with_its_chain_is_found_by_an_exported_head(
    database: Database, postgres_store: PostgresEventStore, audit: AuditDatabase, of: str
) -> None:
    """So is one that a restore has lost: both look the same."""
    await fill(postgres_store, audit)
    exported = (await audit.heads())[of]
    await tampered(
        database,
        f"delete from {of} where position > 7",
        f"delete from {of}_chain where last > 7",
        f"update {of}_chain_head h set chained = 7, number = c.number, digest = c.digest"
        f" from {of}_chain c where c.last = 7",
        f"update {head_of(of)} set position = 7",
    )
    assert await found(audit, of) == []
    (finding,) = await found(audit, of, exported)
    assert (finding.first, finding.last) == (8, 10)
    await fill(postgres_store, audit)
    (finding,) = await found(audit, of, exported)
    assert finding.first == finding.last == 10
    assert "another digest" in finding.what


@pytest.mark.parametrize("of", PARTS)
async def test_a_chain_that_was_written_anew_is_found_by_an_exported_head(
    database: Database, postgres_store: PostgresEventStore, audit: AuditDatabase, of: str
) -> None:
    await fill(postgres_store, audit)
    exported = (await audit.heads())[of]
    await tampered(
        database,
        f"update {of} set actor = 'user:eve' where position = 4",
        REWRITTEN.format(of=of, row=row(of)),
        f"update {of}_chain_head h set digest = c.digest from {of}_chain c where c.last = 10",
    )
    assert await found(audit, of) == []
    (finding,) = await found(audit, of, exported)
    assert (finding.first, finding.what) == (
        10,
        "the chain was written anew: it leads to another digest than the exported head",
    )


@pytest.mark.parametrize("of", PARTS)
async def test_a_row_that_is_inserted_with_the_chain_extended_is_found(
    database: Database, postgres_store: PostgresEventStore, audit: AuditDatabase, of: str
) -> None:
    await fill(postgres_store, audit)
    async with connected(database.admin, database) as admin:
        await admin.execute(COPY.format(of=of, change='{"position": 12, "version": 1000}'))
    assert await found(audit, of) == [
        Finding(11, 11, "removed"),
        Finding(11, 12, "the position of the head was changed"),
    ]


@pytest.mark.parametrize("of", PARTS)
async def test_what_is_set_back_in_its_place_goes_on_and_shows_it(
    database: Database, postgres_store: PostgresEventStore, audit: AuditDatabase, of: str
) -> None:
    """A log begins an epoch with it, which an exported head does not excuse."""
    await fill(postgres_store, audit)
    exported = (await audit.heads())[of]
    await tampered(database, f"delete from {of} where position > 6", f"update {head_of(of)} set position = 6")
    if of == "events":
        await begin_epoch(database.context, database.owner)
    await fill(postgres_store, audit)
    anew = Finding(7, 10, "the log was set back in its place, and these positions were written anew since")
    verified = await verify(audit, of)
    assert (verified.notes, verified.findings) == (([anew], []) if of == "events" else ([], [anew]))
    assert (verified.rows, verified.position) == (16, 16)
    assert await found(audit, of, exported) == [anew]
    await tampered(database, f"update {of} set actor = 'user:eve' where position in (6, 9)")
    left = [finding for finding in await found(audit, of) if finding != anew]
    assert left == [Finding(6, 6, "changed"), Finding(9, 9, "changed")]


@pytest.mark.parametrize("table", ["audit", "audit_chain", "events_chain"])
@pytest.mark.parametrize("change", ["delete from {}", "truncate {}", "update {} set {} = {}"])
async def test_not_even_the_owner_changes_the_audit_or_a_chain(
    database: Database,
    postgres_store: PostgresEventStore,
    audit: AuditDatabase,
    table: str,
    change: str,
) -> None:
    await fill(postgres_store, audit)
    column = "position" if table == "audit" else "last"
    async with connected(database.owner, database) as owner:
        await owner.execute(f"grant all on all tables in schema {database.context} to current_user")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await owner.execute(change.format(table, column, column))


async def test_conflicts_and_rejections_leave_the_chain_as_it_is(
    postgres_store: PostgresEventStore, audit: AuditDatabase
) -> None:
    await postgres_store.append([to(key("a"), 0, command(2)), to(key("b"), 0, command(0))])
    await postgres_store.append([to(key("a"), 0, command(1)), to(key("c"), 0, command(1))])
    await postgres_store.append([to(key("c"), 1, command(0))])
    verified = await verify(audit, "events")
    assert (verified.findings, verified.rows) == ([], 3)
