"""What PostgreSQL says of itself is nobody's outcome: it is unavailable, and goes on afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest
from intent.errors import InvalidCommand, StoreUnavailable
from intent.store import AppendResult
from intent.store.postgres import PostgresEventStore

from ..support.databases import PASSWORD, Database, administer, in_database
from .builders import command, key, to, written


@dataclass(frozen=True)
class Fault:
    """Something that is wrong with the server.

    Attributes:
        name: What it is called.
        begin: The statement that begins it, of a database's name.
        end: The statement that ends it.
        within: Whether the statements run in the database itself, rather than beside it.
    """

    name: str
    begin: str
    end: str
    within: bool = False


_FAULTS = (
    Fault(
        "read only",
        'alter database "{name}" set default_transaction_read_only = on',
        'alter database "{name}" reset default_transaction_read_only',
    ),
    Fault("no login", "alter role orders_service nologin", "alter role orders_service login"),
    Fault(
        "another password",
        "alter role orders_service password 'other'",
        f"alter role orders_service password '{PASSWORD}'",
    ),
    Fault(
        "no connection left",
        "alter role orders_service connection limit 0",
        "alter role orders_service connection limit -1",
    ),
    Fault(
        "no connections allowed",
        'alter database "{name}" with allow_connections false',
        'alter database "{name}" with allow_connections true',
    ),
    Fault(
        "no grant",
        "revoke usage on schema orders from orders_service",
        "grant usage on schema orders to orders_service",
        within=True,
    ),
    Fault(
        "no schema",
        "alter schema orders rename to elsewhere",
        "alter schema elsewhere rename to orders",
        within=True,
    ),
)


@asynccontextmanager
async def _during(database: Database, fault: Fault) -> AsyncIterator[None]:
    """Have a fault in new connections; the old ones end, as after a failover."""
    name = urlsplit(database.admin).path.removeprefix("/")
    beside = in_database(database.admin, "postgres")
    where = database.admin if fault.within else beside
    await administer(where, fault.begin.format(name=name))
    try:
        await administer(
            beside, f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'"
        )
        yield
    finally:
        await administer(where, fault.end.format(name=name))
        await administer(
            beside, f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'"
        )


@pytest.mark.parametrize("fault", _FAULTS, ids=lambda fault: fault.name)
async def test_the_servers_own_trouble_is_unavailable_and_passes(
    database: Database, postgres_store: PostgresEventStore, fault: Fault
) -> None:
    store = postgres_store
    await store.append([to(key("before"))])
    async with _during(database, fault):
        with pytest.raises(StoreUnavailable):
            await store.append([to(key("during"))])
        if fault.name != "read only":
            with pytest.raises(StoreUnavailable):
                await store.load([key("before")], [])
    assert written(await _persevering(lambda: store.append([to(key("after"))]))) == [2]


async def test_what_is_wrong_with_the_values_is_the_writers_own(postgres_store: PostgresEventStore) -> None:
    with pytest.raises(InvalidCommand):
        await postgres_store.append([to(key("nul\0"), 0, command(1))])
    assert written(await postgres_store.append([to(key("well"))])) == [1]


async def _persevering(call: Callable[[], Awaitable[AppendResult]]) -> AppendResult:
    """Return a call's answer, made again on connections that have just ended."""
    for _ in range(10):
        try:
            return await call()
        except StoreUnavailable:
            continue
    raise AssertionError("still unavailable")
