"""Provisioning and migrating: repeatable, safe in parallel, and clear about what is missing."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import asyncpg
import pytest
from intent.dev.services import Postgres
from intent.errors import ConfigurationError
from intent.process.sockets import free_port
from intent.store.migrations import migrate
from intent.store.migrations.provisioning import Passwords, provision
from intent.store.postgres import PostgresEventStore
from intent.store.roles import RoleNames

from ..support.databases import PASSWORD, Database, create_database, prepare
from .builders import fill
from .transactions import connected

PASSWORDS = Passwords(PASSWORD, PASSWORD, PASSWORD)

MIGRATE = """
import asyncio, sys
from intent.store.migrations import migrate
asyncio.run(migrate(sys.argv[1], sys.argv[2]))
"""

REVISION = '''
"""A context's own table."""
from intent.store.migrations.script import run_script
revision, down_revision, branch_labels, depends_on = "a1", None, None, None
def upgrade() -> None:
    run_script("create table {schema}.price_list (sku text primary key)")
    run_script("grant select on {schema}.price_list to {query}")
def downgrade() -> None:
    run_script("drop table {schema}.price_list")
'''


async def shape(database: Database) -> list[str]:
    """All objects of the schema with their definitions and rights, as text."""
    statement = """
        select c.relkind::text || ' ' || c.relname || ' ' || coalesce(c.relacl::text, '') from pg_class c
        where c.relnamespace = $1::text::regnamespace
        union all
        select pg_get_functiondef(p.oid) || coalesce(p.proacl::text, '') from pg_proc p
        where p.pronamespace = $1::text::regnamespace order by 1
    """
    async with connected(database.admin, database) as admin:
        return [row[0] for row in await admin.fetch(statement, database.context)]


async def test_migrating_again_changes_nothing_and_keeps_the_log(database: Database) -> None:
    store = await PostgresEventStore.open(database.service, database.context)
    await fill(store, 3)
    before = await shape(database)

    await prepare(database)

    assert await shape(database) == before
    assert await store.position() == 3
    await store.close()


async def test_two_processes_may_migrate_at_once(bare: Database) -> None:
    await provision(bare.admin, bare.context, PASSWORDS)

    processes = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", MIGRATE, bare.owner, bare.context)
        for _ in range(3)
    ]
    assert [await process.wait() for process in processes] == [0, 0, 0]

    store = await PostgresEventStore.open(bare.service, bare.context)
    assert await store.position() == 0
    await store.close()


async def test_provisioning_at_once_and_again_is_safe(postgres: Postgres, bare: Database) -> None:
    elsewhere = Database.of(postgres, await create_database(postgres), bare.context)
    everywhere = [bare, elsewhere, bare, elsewhere]
    await asyncio.gather(*(provision(d.admin, d.context, PASSWORDS, share_roles=True) for d in everywhere))
    await asyncio.gather(*(migrate(d.owner, d.context) for d in everywhere))


async def test_provisioning_without_passwords_leaves_those_that_are_set(bare: Database) -> None:
    await prepare(bare)
    await provision(bare.admin, bare.context)
    async with connected(bare.service, bare):
        pass


async def test_a_context_may_bring_revisions_of_its_own(bare: Database, tmp_path: Path) -> None:
    (tmp_path / "a1_price_list.py").write_text(REVISION)
    await provision(bare.admin, bare.context, PASSWORDS)
    for _ in range(2):
        await migrate(bare.owner, bare.context, folder=tmp_path)
    async with connected(bare.query, bare) as query:
        assert await query.fetch("select * from price_list") == []


async def test_a_migration_that_fails_changes_nothing(bare: Database) -> None:
    await provision(bare.admin, bare.context, PASSWORDS)

    async def fail(_: object) -> None:
        raise ValueError("the last step failed")

    with pytest.raises(ValueError, match="the last step failed"):
        await migrate(bare.owner, bare.context, prepare=fail)
    assert await shape(bare) == []
    await migrate(bare.owner, bare.context)


async def test_a_schema_of_a_newer_version_is_not_changed(database: Database) -> None:
    async with connected(database.admin, database) as admin:
        await admin.execute("update intent_migrations set version_num = '9999'")
    with pytest.raises(ConfigurationError, match="newer version"):
        await migrate(database.owner, database.context)


async def test_migrating_what_is_not_provisioned_says_so(bare: Database) -> None:
    with pytest.raises(ConfigurationError, match="provision"):
        await migrate(bare.owner, bare.context)


async def test_a_store_that_is_not_provisioned_or_migrated_says_so(bare: Database) -> None:
    with pytest.raises(ConfigurationError, match=r"(?s)INTENT_DATABASE_URL"):
        await PostgresEventStore.open(bare.service, bare.context)
    await provision(bare.admin, bare.context, PASSWORDS)
    with pytest.raises(ConfigurationError, match=f"intent migrate {bare.context}"):
        await PostgresEventStore.open(bare.service, bare.context)


async def test_an_unavailable_server_is_reported_in_one_sentence(context: str) -> None:
    dsn = f"postgresql://somebody@127.0.0.1:{free_port()}/intent"
    for call in (
        PostgresEventStore.open(dsn, context),
        migrate(dsn, context),
        provision(dsn, context),
    ):
        with pytest.raises(ConfigurationError) as raised:
            await call
        assert len(str(raised.value).splitlines()) == 1
        assert "127.0.0.1" in str(raised.value)


@pytest.mark.parametrize("name", ["", "Orders", "or-ders", 'or"ders', "1orders", "o" * 42])
def test_a_name_that_cannot_be_a_schema_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot name a schema"):
        RoleNames.of(name)


async def test_a_context_may_have_a_reserved_word_of_sql_as_its_name(postgres: Postgres) -> None:
    order = Database.of(postgres, await create_database(postgres), "order")
    await prepare(order)
    store = await PostgresEventStore.open(order.service, order.context)
    await fill(store, 2)
    assert len(await store.read_log(0, 10)) == 2
    await store.close()


async def test_the_log_cannot_be_downgraded(database: Database) -> None:
    async with connected(database.service, database) as service:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await service.execute("drop table events")
