"""How many consumers a tenant may have, for how long one is kept, and how large pages are."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import uuid4

import asyncpg
import pytest
from intent.consumers.changes import Changes, PartitionMark, StreamMark
from intent.consumers.database import ConsumerDatabase, ConsumerRow, ParkedRow
from intent.consumers.keys import EVERY_TENANT, ConsumerKey
from intent.store.postgres import PostgresEventStore

from ..store.builders import ACME, GLOBEX, command, event, key, to
from ..support.databases import Database

EVERYTHING = 1 << 62


class Joined:
    """A process with instances of consumers, which leave together."""

    def __init__(self, database: ConsumerDatabase) -> None:
        self.database = database
        self.worker = uuid4()
        self.instances: list[tuple[ConsumerKey, object]] = []

    async def start(self) -> Joined:
        await self.database.heartbeat(self.worker, "test", 60, [], new=True)
        return self

    async def join(self, *consumer: str, most: int | None = None) -> int | None:
        instance, consumer_key = uuid4(), ConsumerKey(*consumer)
        self.instances.append((consumer_key, instance))
        joined = await self.database.join(
            consumer_key,
            instance,
            self.worker,
            partitions=2,
            from_now=False,
            types=[],
            most_per_tenant=most,
        )
        return joined.partitions

    async def park(self, *streams: str) -> None:
        """Park streams of the consumer that joined last, which has all partitions."""
        consumer, instance = self.instances[-1]
        grants = (await self.database.balance(consumer, instance)).grants  # type: ignore[arg-type]
        marks = [StreamMark(0, key(stream), 1, 1, 5, "no", parked=True) for stream in streams]
        partitions = [PartitionMark(grant.partition, grant.epoch, 1) for grant in grants]
        await self.database.save(consumer, instance, Changes(partitions, marks))  # type: ignore[arg-type]

    async def leave(self) -> None:
        await self.database.heartbeat(self.worker, "test", 60, [], new=False)


@pytest.fixture
def consumers(postgres_store: PostgresEventStore) -> ConsumerDatabase:
    return ConsumerDatabase(postgres_store.pool, "orders")


async def names(consumers: ConsumerDatabase) -> list[tuple[str, str]]:
    return [(row.tenant, row.name) for row in await consumers.list(None)]


async def test_a_tenant_has_so_many_consumers_and_no_more(consumers: ConsumerDatabase) -> None:
    process = await Joined(consumers).start()
    assert [await process.join(ACME, name, most=2) for name in ("a", "b", "c")] == [2, 2, None]
    assert await process.join(ACME, "a", most=2) == 2
    assert await process.join(GLOBEX, "c", most=2) == 2
    assert await process.join(EVERY_TENANT, "c", most=2) == 2
    assert await names(consumers) == [(EVERY_TENANT, "c"), (ACME, "a"), (ACME, "b"), (GLOBEX, "c")]


async def test_a_consumer_that_nobody_uses_is_forgotten_by_the_databases_clock(
    database: Database, consumers: ConsumerDatabase, postgres_store: PostgresEventStore
) -> None:
    await postgres_store.append([to(key("o-1"))])
    gone, here = await Joined(consumers).start(), await Joined(consumers).start()
    for name in ("shared", "unused"):
        await gone.join(ACME, name)
    await gone.join(ACME, "parked")
    await gone.park("o-1")
    await here.join(ACME, "shared")
    await here.join(ACME, "quiet")
    await gone.leave()
    assert await consumers.forget(30) == []

    await pass_days(database, 31)
    await here.leave()
    assert await consumers.forget(30) == [ConsumerKey(ACME, "unused")]

    await pass_days(database, 31)
    assert sorted(await consumers.forget(30)) == [ConsumerKey(ACME, "quiet"), ConsumerKey(ACME, "shared")]
    assert await names(consumers) == [(ACME, "parked")]


async def pass_days(database: Database, days: int) -> None:
    """Let everything that is known of consumers be older."""
    connection = await asyncpg.connect(database.admin)
    try:
        await connection.execute(f"update orders.consumers set seen_at = seen_at - interval '{days} days'")
    finally:
        await connection.close()


async def test_consumers_are_listed_in_pages(consumers: ConsumerDatabase) -> None:
    process = await Joined(consumers).start()
    for tenant in (ACME, GLOBEX):
        for name in ("a", "b", "c"):
            await process.join(tenant, name)
    listed: list[ConsumerRow] = []
    after = None
    while page := await consumers.list(None, after, 2):
        assert len(page) <= 2
        listed += page
        after = ConsumerKey(page[-1].tenant, page[-1].name)
    assert listed == await consumers.list(None)
    assert [row.name for row in await consumers.list(GLOBEX, ConsumerKey(GLOBEX, "a"), 5)] == ["b", "c"]


@pytest.mark.parametrize(
    ("most", "most_bytes"), [(2, EVERYTHING), (100, 1), (100, 250), (100, 400), (3, 300)]
)
async def test_parked_events_are_listed_in_pages(
    consumers: ConsumerDatabase, postgres_store: PostgresEventStore, most: int, most_bytes: int
) -> None:
    large = [event(bytes(100)) for _ in range(4)]
    for stream in ("o-1", "o-2", "o-3"):
        await postgres_store.append([to(key(stream), 0, command(large))])
    process = await Joined(consumers).start()
    for tenant in (EVERY_TENANT, ACME):
        await process.join(tenant, "watcher")
        await process.park("o-1", "o-3")
    whole = await consumers.parked(None, 100)
    assert len(whole) == 16

    listed: list[ParkedRow] = []
    while page := await next_page(consumers, listed, most, most_bytes):
        assert len(page) <= most
        assert sum(len(row.entry.data) for row in page[:-1]) < most_bytes
        listed += page
    assert listed == whole


async def next_page(
    consumers: ConsumerDatabase, listed: Sequence[ParkedRow], most: int, most_bytes: int
) -> Sequence[ParkedRow]:
    after = listed[-1].key if listed else None
    return await consumers.parked(None, most, most_bytes=most_bytes, after=after)


async def test_a_page_of_the_log_for_a_consumer_ends_with_its_bytes(
    consumers: ConsumerDatabase, postgres_store: PostgresEventStore
) -> None:
    await postgres_store.append([to(key("o-1"), 0, command([event(bytes(100)) for _ in range(9)]))])

    async def read(tenant: str, most: int, most_bytes: int) -> list[int]:
        entries = await consumers.read(0, 9, most, tenant, [], 1, [0], most_bytes=most_bytes)
        return [entry.position for entry in entries]

    for tenant in (ACME, EVERY_TENANT):
        assert await read(tenant, 100, 1) == [1]
        assert await read(tenant, 100, 300) == [1, 2, 3]
        assert await read(tenant, 100, 301) == [1, 2, 3, 4]
        assert await read(tenant, 2, 301) == [1, 2]
