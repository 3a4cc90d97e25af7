"""Processes behind a real PgBouncer in transaction mode, with few connections to the server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest
from intent.client import IntentClient
from intent.dev.services import Postgres
from intent.errors import ConfigurationError, NotFound
from intent.model import BoundContext
from intent.process.assembly import CommandPath, ContextProcess
from intent.process.schema import prepare_schema
from intent.process.sockets import free_port
from intent.settings.config import Settings
from intent.store.postgres import PostgresEventStore
from intent_contracts.orders.v1 import GetOrder, ListOrders, OrderList, OrderView

from ..service.support import REGISTRY
from ..support.command_path import eventually, place
from ..support.databases import Database
from ..support.pooler import Pooler, no_pooler, pooler

pytestmark = pytest.mark.skipif(bool(no_pooler()), reason=no_pooler())
TENANTS = ("acme", "globex", "initech")
EACH = 40


@pytest.fixture
def bouncer(postgres: Postgres, open_folder: Path, database: Database) -> Iterator[Pooler]:
    with pooler(postgres, open_folder, database, size=10) as running:
        yield running


@dataclass(frozen=True)
class Process:
    """A process, and its address."""

    path: CommandPath
    target: str

    def client(self, tenant: str) -> IntentClient:
        return IntentClient.connect(self.target, tenant=tenant, registry=REGISTRY, timeout=60)


@asynccontextmanager
async def process(
    settings: Settings, bound: BoundContext, database: Database, bouncer: Pooler, **own: object
) -> AsyncIterator[Process]:
    port = free_port()
    urls = {
        "database_url": bouncer.before(database.service),
        "query_database_url": bouncer.before(database.query),
        "database_direct_url": database.service,
        "port": port,
    }
    async with ContextProcess(settings.model_copy(update=urls | own), bound).started() as path:
        yield Process(path, f"127.0.0.1:{port}")


async def test_hundreds_of_commands_and_queries_at_once_share_ten_connections(
    settings: Settings, bound: BoundContext, database: Database, bouncer: Pooler
) -> None:
    async def order(client: IntentClient, order_id: str) -> None:
        placed = await client.execute(place(order_id))
        for _ in range(2):
            view = await client.query(GetOrder(order_id=order_id), OrderView, min_position=placed.position)
            assert view.order_id == order_id

    async def orders(target: Process, tenant: str, first: int) -> None:
        async with target.client(tenant) as client:
            await asyncio.gather(*(order(client, f"{tenant}-{n}") for n in range(first, EACH, 2)))

    async def rebuild(target: Process, name: str) -> None:
        async with target.client(TENANTS[0]) as client:
            async for _ in client.projections.rebuild(name):
                pass

    async with (
        process(settings, bound, database, bouncer) as first,
        process(settings, bound, database, bouncer) as second,
        asyncio.timeout(120),
    ):
        async with asyncio.TaskGroup() as group:
            for tenant in TENANTS:
                group.create_task(orders(first, tenant, 0))
                group.create_task(orders(second, tenant, 1))
            for name in ("OrderViews", "OrderSummaries"):
                group.create_task(rebuild(second, name))
        for target in (first, second):
            for tenant in TENANTS:
                assert await listed(target, tenant) == {f"{tenant}-{number}" for number in range(EACH)}
            with pytest.raises(NotFound):
                async with target.client("acme") as client:
                    await client.query(GetOrder(order_id="globex-0"), OrderView)
        assert await connections(database) <= 10


async def listed(target: Process, tenant: str) -> set[str]:
    found: set[str] = set()
    query = ListOrders()
    async with target.client(tenant) as client:
        while True:
            page = await client.query(query, OrderList)
            found |= {order.order_id for order in page.orders}
            query.page_token = page.next_page_token
            if not query.page_token:
                return found


async def connections(database: Database) -> int:
    """Return the number of the pooler's connections to the server."""
    connection = await asyncpg.connect(database.admin)
    try:
        count: int = await connection.fetchval(
            "select count(*) from pg_stat_activity"
            " where application_name = 'intent' and datname = current_database()"
        )
        return count
    finally:
        await connection.close()


async def test_another_process_is_woken_past_the_pooler(database: Database, bouncer: Pooler) -> None:
    through = bouncer.before(database.service)
    one, other = [
        await PostgresEventStore.open(through, "orders", direct_dsn=database.service) for _ in range(2)
    ]
    try:
        woken = asyncio.Event()
        other.wake_ups.on("news", woken.set)

        async def told() -> bool:
            one.wake_ups.tell("news")
            return woken.is_set()

        await eventually(told)
    finally:
        await one.close()
        await other.close()


async def test_what_a_crash_of_the_server_took_is_projected_again_without_new_events(
    settings: Settings, bound: BoundContext, database: Database, bouncer: Pooler
) -> None:
    """The pooler keeps the connections of the process, so these do not tell of the crash."""
    async with process(settings, bound, database, bouncer) as running, running.client("acme") as client:
        await client.execute(place("o-1"))
        assert await listed(running, "acme") == {"o-1"}
        administrator = await asyncpg.connect(database.admin)
        try:
            await administrator.execute(
                "delete from orders.order_summary__g1; update orders.projection_generations set position = 0"
            )
            # By a statement of its own: a process that connects again reads what was committed before.
            await administrator.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where application_name = 'intent listener' and datname = current_database()"
            )
        finally:
            await administrator.close()

        async def projected() -> bool:
            return await listed(running, "acme") == {"o-1"}

        await eventually(projected)


async def test_statements_through_the_pooler_are_given_up_by_the_server(
    database: Database, bouncer: Pooler
) -> None:
    store = await PostgresEventStore.open(
        bouncer.before(database.service), "orders", statement_timeout=2, direct_dsn=database.service
    )
    try:
        with pytest.raises(asyncpg.QueryCanceledError, match="statement timeout"):
            await store.pool.fetchval("select pg_sleep(60)")
    finally:
        await store.close()


@pytest.mark.parametrize(
    "ignored", ["", "jit,statement_timeout,lock_timeout,idle_in_transaction_session_timeout"]
)
async def test_a_process_says_which_setting_it_needs_behind_a_pooler(
    postgres: Postgres, open_folder: Path, database: Database, ignored: str
) -> None:
    with pooler(postgres, open_folder, database, ignored=ignored) as bouncer:
        through = bouncer.before(database.service)
        with pytest.raises(ConfigurationError, match=r"leads to a pooler.*set INTENT_DATABASE_DIRECT_URL to"):
            await PostgresEventStore.open(through, "orders")
        with pytest.raises(ConfigurationError, match="INTENT_DATABASE_DIRECT_URL leads to a pooler"):
            await PostgresEventStore.open(through, "orders", direct_dsn=through)


async def test_a_schema_is_migrated_through_the_pooler_by_one_process_after_another(
    bound: BoundContext, database: Database, bouncer: Pooler, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        # A new process names its prepared statements from one on.
        monkeypatch.setattr("asyncpg.connection._uid", 0)
        await prepare_schema(bound, bouncer.before(database.owner))
