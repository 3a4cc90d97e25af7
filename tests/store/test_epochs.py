"""Another epoch of the log is noticed, and nothing of the one before gets into it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from dataclasses import replace
from uuid import uuid4

import asyncpg
import pytest
from intent.errors import Rejected, StoreUnavailable
from intent.records import Snapshot
from intent.store.migrations.epochs import begin_epoch
from intent.store.postgres import PostgresEventStore

from ..support.databases import Database, administer
from .builders import command, fill, key, to


async def reconnect(store: PostgresEventStore) -> None:
    """Have the store use new connections, as after a failover."""
    await store.pool._pool.expire_connections()
    await store.position()


def intent(database: Database, *arguments: str) -> str:
    """Run the command line as the owner of the schema, and return what it prints."""
    environment = {**os.environ, "INTENT_OWNER_DATABASE_URL": database.owner}
    command = [sys.executable, "-m", "intent.cli", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


async def set_back(database: Database, position: int) -> None:
    """Take the rows of the log back in their place."""
    await administer(
        database.admin,
        f"delete from orders.events where position > {position};"
        f"delete from orders.commands where position > {position};"
        f"update orders.head set position = {position}",
    )


async def test_an_operator_begins_one_and_what_rests_on_the_one_before_is_refused(
    database: Database, postgres_store: PostgresEventStore
) -> None:
    store, called = postgres_store, list[str]()
    store.epochs.on_begin(lambda: called.append(store.epochs.current))
    before = store.epochs.current
    await store.append([replace(to(key("a"), 0), epoch=before)])
    said = await asyncio.to_thread(intent, database, "migrate", "orders", "--new-epoch")
    begun = said.rsplit(maxsplit=1)[-1]
    await reconnect(store)
    assert called == [begun] == [store.epochs.current]
    with pytest.raises(StoreUnavailable):
        await store.append([replace(to(key("b"), 0), epoch=before)])
    with pytest.raises(StoreUnavailable):
        await store.keep_snapshot(key("a"), Snapshot(1, 1, b""), before)
    await store.append([replace(to(key("b"), 0), epoch=begun)])
    assert [entry.aggregate_id for entry in await store.read_log(0, 10)] == ["a", "b"]


async def test_a_log_that_ends_before_what_it_has_reported_has_gone_back(
    database: Database, postgres_store: PostgresEventStore
) -> None:
    store = postgres_store
    other = await PostgresEventStore.open(database.service, "orders")
    before = store.epochs.current
    await fill(store, 5)
    await set_back(database, 3)
    assert await store.position() == 3
    assert store.epochs.current != before
    # One that has seen less hears of it with its next connection, and begins no further one.
    await reconnect(other)
    assert other.epochs.current == store.epochs.current
    assert (store.epochs.begun, other.epochs.begun) == (1, 1)
    await other.close()


async def test_the_server_refuses_what_a_pooler_leads_to_another_history(
    database: Database, postgres_store: PostgresEventStore
) -> None:
    store = postgres_store
    await fill(store, 2)
    store.epochs._known = (store.epochs._known[-1]._replace(incarnation=1),)
    with pytest.raises(StoreUnavailable, match="another epoch"):
        await store.append([to(key("b"), 0, command())])
    assert await store.position() == 2
    # That took a new connection, which says how it is.
    await store.append([to(key("b"), 0, command())])
    assert await store.position() == 3


async def test_positions_are_kept_up_to_the_earliest_epoch_that_came_after(
    database: Database, postgres_store: PostgresEventStore
) -> None:
    store = postgres_store
    first = store.epochs.current
    await fill(store, 5)
    await set_back(database, 3)
    await store.position()
    second = store.epochs.current
    await store.append([to(key("new"), 0, command(4))])
    await begin_epoch("orders", database.owner)
    await reconnect(store)

    await store.epochs.require(3, first)
    await store.epochs.require(7, second)
    await store.epochs.require(99, "")
    for position, epoch in ((4, first), (8, second), (1, str(uuid4()))):
        with pytest.raises(Rejected) as refused:
            await store.epochs.require(position, epoch)
        assert refused.value.reason == "POSITION_LOST"


async def test_a_database_that_was_copied_is_another_log(database: Database) -> None:
    store = await PostgresEventStore.open(database.service, "orders")
    await store.append([to(key("a"), 0)])
    epoch = store.epochs.current
    await store.close()
    connection = await asyncpg.connect(database.admin)
    try:
        # As the same rows in another database or cluster have it.
        await connection.execute("update orders.epochs set origin = 'elsewhere/' || origin")
    finally:
        await connection.close()
    store = await PostgresEventStore.open(database.service, "orders")
    assert store.epochs.current != epoch
    await store.epochs.require(1, epoch)
    await store.close()
