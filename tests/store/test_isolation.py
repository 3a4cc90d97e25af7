"""What somebody with the query URL of one context can do to another in the same database: nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import asyncpg
import pytest
from intent.dev.services import Postgres
from intent.errors import ConfigurationError
from intent.store.locks import lock_schema
from intent.store.migrations import Limits, migrate, provision
from intent.store.postgres.pools import open_pool
from intent.store.roles import RoleNames

from ..support.databases import Database, create_database, prepare
from .transactions import connected

FREE = 5


@pytest.fixture
async def victim(postgres: Postgres, bare: Database) -> Database:
    """Another context in the same database, provisioned and migrated."""
    database = Database.of(postgres, bare.admin.rsplit("/", 1)[1], f"{bare.context}_v")
    await prepare(database)
    return database


@pytest.fixture
async def leaked(bare: Database, victim: Database) -> AsyncIterator[asyncpg.Connection]:
    """A session with the query URL of the first context."""
    await prepare(bare)
    async with connected(bare.query, bare) as connection:
        await connection.execute(
            "set default_transaction_read_only = off; set statement_timeout = 0;"
            "set idle_in_transaction_session_timeout = 0"
        )
        yield connection


async def test_locks_that_can_be_guessed_hold_up_no_migration(
    leaked: asyncpg.Connection, bare: Database, victim: Database, caplog: pytest.LogCaptureFixture
) -> None:
    await leaked.execute("select pg_advisory_lock(hashtext($1))", f"intent migrate {victim.context}")
    await leaked.execute("select pg_advisory_lock(hashtextextended($1, 0))", f"{victim.context}.projections")
    await migrate(victim.owner, victim.context)
    assert f"{bare.context}_query (pid {leaked.get_server_pid()})" in caplog.text


async def test_a_lock_that_can_be_guessed_holds_up_no_provisioning(
    leaked: asyncpg.Connection, victim: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("intent.store.migrations.provisioning._TURN", "100ms")
    await leaked.execute("select pg_advisory_lock(hashtext('intent provision'))")
    await provision(victim.admin, victim.context)


async def test_a_stranger_cannot_keep_the_lock_of_a_schema(
    leaked: asyncpg.Connection, victim: Database
) -> None:
    async with leaked.transaction():
        for statement in (lock_schema(victim.context), f"drop schema {victim.context}"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                async with leaked.transaction():
                    await leaked.execute(statement)
        await migrate(victim.owner, victim.context)


async def test_a_stranger_leaves_connections_to_the_services_of_others(
    leaked: asyncpg.Connection, bare: Database, victim: Database
) -> None:
    async with AsyncExitStack() as stack:

        async def take_all() -> None:
            while True:
                await stack.enter_async_context(connected(bare.query, bare))

        with pytest.raises(asyncpg.TooManyConnectionsError, match=f"{bare.context}_query"):
            await take_all()
        for _ in range(FREE):
            await stack.enter_async_context(connected(victim.service, victim))
        await migrate(victim.owner, victim.context)


@pytest.mark.parametrize(
    "statement",
    [
        "create temporary table kept (data text)",
        "create table public.kept (data text)",
        "create table kept (data text)",
        "create schema kept",
        "select lo_from_bytea(0, 'kept')",
        "select lo_creat(-1)",
        "select lo_create(0)",
    ],
)
async def test_a_stranger_writes_nothing_anywhere(leaked: asyncpg.Connection, statement: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await leaked.execute(statement)


async def test_a_stranger_does_not_enter_the_database_of_another_context(
    postgres: Postgres, leaked: asyncpg.Connection, bare: Database
) -> None:
    other = Database.of(postgres, await create_database(postgres), f"{bare.context}_o")
    await prepare(other)
    entered = Database.of(postgres, other.admin.rsplit("/", 1)[1], bare.context)
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied for database"):
        async with connected(entered.query, entered):
            pass


async def test_a_session_of_the_query_role_only_reads_and_ends_by_itself(bare: Database) -> None:
    await prepare(bare)
    async with connected(bare.query, bare) as query:
        for name, value in (
            ("default_transaction_read_only", "on"),
            ("statement_timeout", "10s"),
            ("idle_in_transaction_session_timeout", "10s"),
        ):
            assert await query.fetchval(f"show {name}") == value


async def test_what_an_operator_has_set_for_a_role_is_kept(bare: Database) -> None:
    await prepare(bare)
    async with connected(bare.admin, bare) as admin:
        await admin.execute(f"alter role {bare.context}_query connection limit 7")
        await admin.execute(f"alter role {bare.context}_query set statement_timeout = '3s'")
        await prepare(bare)
        limit = "select rolconnlimit from pg_roles where rolname = $1"
        assert await admin.fetchval(limit, f"{bare.context}_query") == 7
        await provision(bare.admin, bare.context, limits=Limits(service=-1, query=9))
        assert await admin.fetchval(limit, f"{bare.context}_query") == 9
        assert await admin.fetchval(limit, f"{bare.context}_service") == -1
    async with connected(bare.query, bare) as query:
        assert await query.fetchval("show statement_timeout") == "3s"


async def test_behind_a_pooler_a_role_that_only_reads_gets_its_other_defaults(bare: Database) -> None:
    await prepare(bare)
    pool = await open_pool(bare.query, connections=1, timeout=20, direct_dsn=bare.query, read_only=True)
    pool.terminate()
    async with connected(bare.query, bare) as query:
        assert await query.fetchval("show lock_timeout") == "9s"
        assert await query.fetchval("show jit") == "off"
        assert await query.fetchval("show statement_timeout") == "10s"


async def test_a_role_that_only_reads_is_served_by_the_server_that_is_written_to(bare: Database) -> None:
    await prepare(bare)
    pool = await open_pool(f"{bare.query}?target_session_attrs=read-write", connections=1, read_only=True)
    try:
        assert await pool.fetchval("select current_user") == RoleNames.of(bare.context).query
    finally:
        pool.terminate()


async def test_a_migration_that_another_one_holds_up_says_which(
    victim: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("intent.store.migrations.migrating._LOCKS", ("3s", "3s"))
    async with connected(victim.owner, victim) as owner, owner.transaction():
        await owner.execute("set application_name = 'the other one'")
        await owner.execute(lock_schema(victim.context))
        holder = rf"{victim.context}_owner \(pid {owner.get_server_pid()}, the other one\)"
        with pytest.raises(ConfigurationError, match=holder):
            await migrate(victim.owner, victim.context)


async def test_a_migration_that_waits_for_a_table_says_for_whom(
    victim: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def change(connection: asyncpg.Connection) -> None:
        await connection.execute(f"lock table {victim.context}.events in access exclusive mode")

    monkeypatch.setattr("intent.store.migrations.migrating._LOCKS", ("60s", "3s"))
    async with connected(victim.query, victim) as reader, reader.transaction():
        await reader.execute("set local idle_in_transaction_session_timeout = 0")
        await reader.fetch("select * from events")
        holder = rf"cannot be migrated now: {victim.context}_query \(pid {reader.get_server_pid()}\)"
        with pytest.raises(ConfigurationError, match=holder):
            await migrate(victim.owner, victim.context, prepare=change)
    await migrate(victim.owner, victim.context, prepare=change)
