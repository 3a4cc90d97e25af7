"""What each role can do on the database itself, bypassing the platform's code."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio
from intent.auditing import ACTION, AuditDatabase, AuditEntry
from intent.consumers.changes import Changes, PartitionMark, StreamMark
from intent.consumers.database import ConsumerDatabase
from intent.consumers.keys import ConsumerKey
from intent.contracts import Registry
from intent.dev.services import Postgres
from intent.model import BoundContext
from intent.projections.supervisor import ProjectionSupervisor
from intent.projections.tables import ensure_tables
from intent.records import Snapshot
from intent.store.migrations import migrate
from intent.store.migrations.provisioning import Passwords, provision
from intent.store.postgres import PostgresEventStore, PostgresSagaEnds, SagaEnd
from intent.store.postgres.append import append_arguments, append_statement
from intent.store.roles import RoleNames
from intent_contracts.orders.v1 import Money, OrderLine, OrderPlaced
from orders.context import context as orders

from ..support.databases import PASSWORD, Database, create_database, drop_database
from .builders import ACME, GLOBEX, command, event, key, to
from .transactions import append_on, connected

NOW = datetime.now(UTC)
LOG = ("events", "commands", "snapshots")
RELATIONS = """
select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname = $1 and c.relkind in ('r', 'p', 'v', 'm') order by 1
"""
OF_TENANTS = """
select c.table_name from information_schema.columns c
where c.table_schema = $1 and c.column_name = 'tenant' order by 1
"""
FUNCTIONS = """
select p.oid::regprocedure::text from pg_proc p join pg_namespace n on n.oid = p.pronamespace
where n.nspname = $1 and has_function_privilege($2, p.oid, 'execute')
"""


@pytest.fixture(scope="module")
def context() -> BoundContext:
    return orders.bind(Registry.load())


@pytest_asyncio.fixture(scope="module")
async def original(postgres: Postgres, template: str, context: BoundContext) -> AsyncIterator[str]:
    """The name of a database in which every table that has a tenant holds rows of two."""
    name = await create_database(postgres, template)
    await fill(Database.of(postgres, name, "orders"), context)
    yield name
    await drop_database(postgres, name)


@pytest_asyncio.fixture
async def filled(postgres: Postgres, original: str) -> AsyncIterator[Database]:
    name = await create_database(postgres, original)
    yield Database.of(postgres, name, "orders")
    await drop_database(postgres, name)


async def fill(database: Database, context: BoundContext) -> None:
    await migrate(database.owner, "orders", prepare=lambda c: ensure_tables(c, context))
    store = await PostgresEventStore.open(database.service, "orders")
    projections = ProjectionSupervisor(context, store, store.pool)
    try:
        for tenant in (ACME, GLOBEX):
            await store.append([to(key("o-1", tenant), 0, command([placed()]), snapshot=Snapshot(1, 1, b""))])
            await AuditDatabase(store.pool, database.context).write([AuditEntry(ACTION, "/m", tenant=tenant)])
            await PostgresSagaEnds(store.pool, "orders").record([SagaEnd(tenant, "a saga", 5, NOW, NOW)])
            await consume(ConsumerDatabase(store.pool, database.context), tenant, await store.position())
        await projections.start()
        assert await projections.reach(2, 30) == []
    finally:
        await projections.stop()
        await store.close()


async def consume(consumers: ConsumerDatabase, tenant: str, position: int) -> None:
    """Leave a consumer with an instance, a stream that was set aside, and an event that was dropped."""
    consumer, worker, instance = ConsumerKey(tenant, "watcher"), uuid4(), uuid4()
    await consumers.heartbeat(worker, "test", 3600, [], new=True)
    await consumers.join(consumer, instance, worker, partitions=1, from_now=False, types=[])
    (grant,) = (await consumers.balance(consumer, instance)).grants
    stream = StreamMark(0, key("o-1", tenant), 1, position, 5, "no", parked=True)
    mark = PartitionMark(0, grant.epoch, position)
    await consumers.save(consumer, instance, Changes([mark], [stream]))
    assert await consumers.drop(consumer, position, "a test", "ann")


def placed() -> Any:
    line = OrderLine(line_id="1", sku="tea", quantity=1, unit_price=Money(minor_units=5, currency="EUR"))
    data = OrderPlaced(customer_id="ann", lines=[line]).SerializeToString()
    return event(data, "orders.v1.OrderPlaced", 2)


@pytest_asyncio.fixture(params=["service", "query"])
async def role(request: pytest.FixtureRequest, filled: Database) -> str:
    """The URL of a role that serves callers."""
    url: str = getattr(filled, request.param)
    return url


@pytest_asyncio.fixture
async def bound(filled: Database, role: str) -> AsyncIterator[Any]:
    """A connection that is bound to tenant A."""
    async with connected(role, filled, ACME) as connection:
        yield connection


async def relations(database: Database, statement: str = RELATIONS) -> list[str]:
    async with connected(database.admin, database) as admin:
        names = [row[0] for row in await admin.fetch(statement, database.context)]
        for name in names if statement == OF_TENANTS else []:
            tenants = await admin.fetch(f"select distinct tenant from {name} order by 1")
            assert [row[0] for row in tenants] == [ACME, GLOBEX], f"{name} proves nothing"
    return names


async def count(connection: Any, table: str, where: str = "true") -> int:
    """Count the rows that are seen; a table that may not be read shows none."""
    try:
        rows: int = await connection.fetchval(f"select count(*) from {table} where {where}")
    except asyncpg.InsufficientPrivilegeError:
        return 0
    return rows


async def test_without_a_tenant_every_table_reads_empty(filled: Database, role: str) -> None:
    async with connected(role, filled) as connection:
        seen = {table: await count(connection, table) for table in await relations(filled)}
    assert {*LOG, "head"} < set(seen)
    assert set(seen.values()) == {0}, seen


async def test_an_empty_tenant_is_no_tenant(filled: Database, role: str) -> None:
    async with connected(role, filled, "") as connection:
        assert {await count(connection, table) for table in await relations(filled)} == {0}


async def test_the_owner_sees_no_tenants_rows_either(filled: Database) -> None:
    async with connected(filled.owner, filled) as connection:
        assert {await count(connection, table) for table in await relations(filled, OF_TENANTS)} == {0}


async def test_a_tenant_reads_its_own_rows_and_none_of_another(filled: Database, bound: Any) -> None:
    tables = await relations(filled, OF_TENANTS)
    assert len(tables) > len(LOG)
    for table in tables:
        assert await count(bound, table) >= (table != "audit"), table
        assert await count(bound, table, f"tenant <> '{ACME}'") == 0, table
        assert await count(bound, table, f"tenant = '{GLOBEX}'") == 0, table


@pytest.mark.parametrize("tenant", [None, ACME])
async def test_no_serving_role_writes_any_table_directly(
    filled: Database, role: str, tenant: str | None
) -> None:
    async with connected(role, filled, tenant) as connection:
        # A default of the query role, which each session may change.
        await connection.execute("set default_transaction_read_only = off")
        for table in await relations(filled):
            for statement in (
                f"insert into {table} select * from {table}",
                f"update {table} set {await first_column(filled, table)} = null",
                f"delete from {table}",
                f"truncate {table}",
            ):
                with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.WrongObjectTypeError)):
                    await connection.execute(statement)


async def first_column(database: Database, table: str) -> str:
    async with connected(database.admin, database) as admin:
        name: str = await admin.fetchval(
            "select attname from pg_attribute where attrelid = $1::text::regclass and attnum = 1", table
        )
    return name


@pytest.mark.parametrize("name", ["log", "owner"])
async def test_no_serving_role_becomes_one_that_writes_the_log(
    filled: Database, role: str, name: str
) -> None:
    async with connected(role, filled) as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(f"set role {getattr(RoleNames.of(filled.context), name)}")


async def test_the_query_role_cannot_become_the_projector_and_calls_no_function(filled: Database) -> None:
    names = RoleNames.of(filled.context)
    async with connected(filled.query, filled) as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(f"set role {names.projector}")
        assert await connection.fetch(FUNCTIONS, filled.context, names.query) == []
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await append_on(connection, filled, [to(key("new"))])
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.fetch("select * from read_log(0, 10, null, null, null, null, null)")


async def test_the_projector_reads_nothing_of_the_log(filled: Database) -> None:
    async with connected(filled.service, filled) as connection:
        await connection.execute(f"set role {RoleNames.of(filled.context).projector}")
        for table in LOG:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(f"select * from {table}")


class TestFunctionsBoundToATenant:
    """The service's functions, on a connection that is bound to tenant A."""

    @pytest_asyncio.fixture
    async def service(self, filled: Database) -> AsyncIterator[Any]:
        async with connected(filled.service, filled, ACME) as connection:
            yield connection

    async def test_nothing_is_appended_for_another_tenant(self, filled: Database, service: Any) -> None:
        for batch in ([to(key("new", GLOBEX))], [to(key("new")), to(key("new", GLOBEX), 0, command(0))]):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await append_on(service, filled, batch)
        assert await service.fetchval("select log_position()") == 2
        await append_on(service, filled, [to(key("new"))])
        assert await service.fetchval("select log_position()") == 3

    async def test_no_single_column_smuggles_a_row_to_another_tenant(
        self, filled: Database, service: Any
    ) -> None:
        names = await service.fetchval("select proargnames from pg_proc where proname = 'append'")
        own = append_arguments([to(key("new"), snapshot=Snapshot(1, 1, b""))])
        tenants = [n for n, name in enumerate(names[: len(own)]) if name.endswith("_tenant")]
        assert tenants
        for n in tenants:
            assert list(own[n]) == [ACME]
            smuggling = [*own[:n], [GLOBEX], *own[n + 1 :]]
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await service.fetchrow(append_statement(filled.context), *smuggling)

    async def test_nothing_of_another_tenant_is_read(self, filled: Database, service: Any) -> None:
        theirs = [GLOBEX, "Order", "o-1"]
        id_of = "select command_id from events where tenant = $1"
        async with connected(filled.admin, filled) as admin:
            command_ids = [await admin.fetchval(id_of, tenant) for tenant in (ACME, GLOBEX)]

        for function in ("load($1, $2, $3, $4, $5)", "load_0012($1, $2, $3, $4, $5, 500, 100000)"):
            loaded = await service.fetch(
                f"select * from {function}",
                [ACME, GLOBEX],
                ["Order", "Order"],
                ["o-1", "o-1"],
                [ACME, GLOBEX],
                command_ids,
            )
            assert {row["i"] for row in loaded} == {1}
        assert await service.fetch("select * from read_stream($1, $2, $3, 0, 10)", *theirs) == []
        assert await service.fetch("select * from read_stream_0010($1, $2, $3, 0, 10, 100)", *theirs) == []
        read = await service.fetch("select * from read_positions(array[1, 2])")
        assert {row["tenant"] for row in read} == {ACME}
        read_log = "select * from read_log(0, 10, $1, null, $2, $3, $4)"
        for only in (None, ACME, GLOBEX):
            for narrower in ((None, None, None), ("Order", "o-1", None), (None, None, "")):
                for statement in (read_log, read_log.replace("read_log(0, 10", "read_log_0010(0, 10, 100")):
                    read = await service.fetch(statement, only, *narrower)
                    assert {row["tenant"] for row in read} <= {ACME}


class TestConsumersBoundToATenant:
    """The service's functions for consumers, on a connection that is bound to tenant A."""

    @pytest_asyncio.fixture
    async def service(self, filled: Database) -> AsyncIterator[Any]:
        async with connected(filled.service, filled, ACME) as connection:
            yield connection

    @pytest.mark.parametrize("tenant", [GLOBEX, "*"])
    @pytest.mark.parametrize(
        "call",
        [
            "consumer_join($1, 'new', gen_random_uuid(), gen_random_uuid(), 1, false, '{}')",
            "consumer_join_0010($1, 'new', gen_random_uuid(), gen_random_uuid(), 1, false, '{}', 5)",
            "consumer_balance($1, 'watcher', gen_random_uuid())",
            "consumer_aside($1, 'watcher', '{0}')",
            "consumer_aside_0011($1, 'watcher', '{0}')",
            "consumer_read(0, 10, 10, nullif($1, '*'), null, 1, '{0}')",
            "consumer_read_0005(0, 10, 10, nullif($1, '*'), null, 1, '{0}')",
            "consumer_read_0010(0, 10, 10, 100, nullif($1, '*'), null, 1, '{0}')",
            "consumer_list(nullif($1, '*'))",
            "consumer_list_0010(nullif($1, '*'), null, null, 10)",
            "consumer_parked(nullif($1, '*'), null, null, null, null, 10)",
            "consumer_parked_0005(nullif($1, '*'), null, null, null, null, 10)",
            "consumer_parked_0010(nullif($1, '*'), null, null, null, null, 10, 100, null, null)",
            "consumer_replay($1, 'watcher', 'globex', 'Order', 'o-1')",
            "consumer_drop($1, 'watcher', 2, 'a test', 'ann')",
            "consumer_remove($1, 'watcher')",
            "consumer_forget_0010(length($1))",
            "consumer_save($1, 'watcher', gen_random_uuid(), '{0}', '{1}', '{9}', '{f}', '{}', '{}', '{}', "
            "'{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}')",
        ],
    )
    async def test_nothing_is_done_for_another(self, service: Any, call: str, tenant: str) -> None:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await service.fetch(f"select * from {call}", tenant)

    async def test_only_a_connection_for_all_tenants_renews_a_lease(self, service: Any) -> None:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await service.fetchval("select consumer_beat(gen_random_uuid(), 'me', 60, '{}', true)")

    @pytest.mark.parametrize("column", ["s_tenant", "r_tenant"])
    async def test_no_stream_of_another_tenant_is_saved(
        self, filled: Database, service: Any, column: str
    ) -> None:
        """With one, the consumer of this tenant would show its events and take them."""
        async with connected(filled.admin, filled) as admin:
            instance = await admin.fetchval("select instance from consumer_instances where tenant = $1", ACME)
            epoch = await admin.fetchval("select epoch from consumer_partitions where tenant = $1", ACME)
        save = (
            "select consumer_save($1, 'watcher', $2, '{{0}}', array[$3::bigint], '{{2}}', '{{f}}', "
            "{streams}, {rejoined})"
        )
        stream = "'{0}', array[$4], '{Order}', '{o-1}', '{1}', '{2}', '{1}', '{no}', '{0}', '{t}'"
        rejoined = "'{0}', array[$4], '{Order}', '{o-1}'"
        streams = ", ".join(["'{}'"] * 10), ", ".join(["'{}'"] * 4)
        parts = (stream, streams[1]) if column == "s_tenant" else (streams[0], rejoined)
        statement = save.format(streams=parts[0], rejoined=parts[1])
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await service.fetchval(statement, ACME, instance, epoch, GLOBEX)
        assert await service.fetchval(statement, ACME, instance, epoch, ACME)

    async def test_a_stream_of_another_tenant_that_is_parked_here_is_not_read(
        self, filled: Database, service: Any
    ) -> None:
        async with connected(filled.admin, filled) as admin:
            await admin.execute(
                "insert into consumer_streams select consumer_tenant, consumer, $2, aggregate_type,"
                " aggregate_id, partition, 1, 2, 1, 'no', now(), now()"
                " from consumer_streams where consumer_tenant = $1",
                ACME,
                GLOBEX,
            )
            await admin.execute("delete from consumer_drops")
            await admin.execute('update consumer_streams set version = 1, "position" = 1, parked_at = now()')
        for parked in (
            "consumer_parked($1, null, null, null, null, 10)",
            "consumer_parked_0005($1, null, null, null, null, 10)",
            "consumer_parked_0010($1, null, null, null, null, 10, 10000, null, null)",
        ):
            rows = await service.fetch(f"select * from {parked}", ACME)
            assert [row["event"]["tenant"] for row in rows] == [ACME], parked
        for function in ("consumer_aside", "consumer_aside_0011"):
            aside = await service.fetch(f"select * from {function}($1, 'watcher', '{{0}}')", ACME)
            assert {row["tenant"] for row in aside} == {ACME}
        assert not await service.fetchval("select consumer_drop($1, 'watcher', 2, 'why', 'ann')", ACME)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await service.fetchval("select consumer_replay($1, 'watcher', $2, 'Order', 'o-1')", ACME, GLOBEX)

    @pytest.mark.parametrize(
        "call",
        [
            "consumer_read(0, 10, 10, null, null, 1, '{0}')",
            "consumer_read_0010(0, 10, 10, 100, null, null, 1, '{0}')",
            "consumer_list(null)",
            "consumer_parked(null, null, null, null, null, 10)",
            "consumer_aside('*', 'watcher', '{0}')",
            "consumer_aside_0011('*', 'watcher', '{0}')",
        ],
    )
    async def test_the_sign_for_all_tenants_binds_to_none(self, filled: Database, call: str) -> None:
        async with connected(filled.service, filled, "*") as connection:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.fetch(f"select * from {call}")

    async def test_its_own_consumers_are_read(self, service: Any) -> None:
        assert [row["tenant"] for row in await service.fetch("select * from consumer_list($1)", ACME)] == [
            ACME
        ]
        read = await service.fetch("select * from consumer_read(0, 10, 10, $1, null, 1, '{0}')", ACME)
        assert {row["tenant"] for row in read} == {ACME}


async def test_the_roles_of_another_context_see_nothing_of_this_one(filled: Database) -> None:
    other = RoleNames.of("inventory")
    passwords = Passwords(PASSWORD, PASSWORD, PASSWORD)
    await provision(filled.admin, other.schema, passwords, share_roles=True)
    for name in (other.owner, other.service, other.query):
        dsn = filled.owner.replace(RoleNames.of(filled.context).owner, name)
        async with connected(dsn, filled) as connection:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.fetch(f"select * from {filled.context}.events")
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.fetch(f"select {filled.context}.log_position()")
