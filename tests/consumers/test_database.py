"""What PostgreSQL stores of consumers: members, partitions, checkpoints, parked streams."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from intent.consumers.changes import Changes, Grant, PartitionMark, StreamMark
from intent.consumers.database import ConsumerDatabase, NotAMemberError
from intent.consumers.keys import EVERY_TENANT, ConsumerKey, partition_of
from intent.records import StreamKey
from intent.store.postgres import PostgresEventStore

from ..store.builders import ACME, GLOBEX, command, event, key, to
from ..support.databases import Database

KEY = ConsumerKey(ACME, "shipping.known-orders")
ALL = ConsumerKey(EVERY_TENANT, "shipping.known-orders")
TOTAL = 4


@dataclass
class Member:
    """One instance, in a process of its own."""

    database: ConsumerDatabase
    key: ConsumerKey
    worker: UUID
    instance: UUID

    @classmethod
    async def joined(
        cls, database: ConsumerDatabase, key: ConsumerKey = KEY, lease: float = 60.0, **options: object
    ) -> Member:
        member = cls(database, key, uuid4(), uuid4())
        await database.heartbeat(member.worker, "test", lease, [], new=True)
        terms: dict[str, object] = {"partitions": TOTAL, "from_now": False, "types": [], **options}
        await database.join(key, member.instance, member.worker, **terms)  # type: ignore[arg-type]
        return member

    async def heartbeat(self) -> int | None:
        """Return the revision of the consumer; None when the process counts as dead."""
        revisions = await self.database.heartbeat(self.worker, "test", 60.0, [self.instance], new=False)
        return None if revisions is None else revisions[self.instance]

    async def partitions(self) -> list[int]:
        return [grant.partition for grant in await self.grants()]

    async def grants(self) -> Sequence[Grant]:
        return (await self.database.balance(self.key, self.instance)).grants

    async def save(self, *marks: PartitionMark, **streams: object) -> None:
        await self.database.save(self.key, self.instance, Changes(marks, **streams))  # type: ignore[arg-type]


@pytest_asyncio.fixture
async def consumers(postgres_store: PostgresEventStore) -> AsyncIterator[ConsumerDatabase]:
    yield ConsumerDatabase(postgres_store.pool, "orders")


def mark(grant: Grant, checkpoint: int, release: bool = False) -> PartitionMark:
    return PartitionMark(grant.partition, grant.epoch, checkpoint, release)


def set_aside(partition: int, stream: StreamKey, position: int, parked: bool = False) -> StreamMark:
    return StreamMark(partition, stream, 1, position, 2, "no", 0.0, parked)


async def test_one_instance_has_all_and_two_share(consumers: ConsumerDatabase) -> None:
    first = await Member.joined(consumers)
    assert await first.partitions() == [0, 1, 2, 3]
    second = await Member.joined(consumers)
    assert await second.partitions() == []
    share = await consumers.balance(KEY, first.instance)
    assert share.size == 2
    await first.save(*(mark(grant, 0, release=True) for grant in share.grants[2:]))
    assert await second.partitions() == [2, 3]
    assert await first.partitions() == [0, 1]


async def test_every_new_owner_has_a_later_epoch_and_starts_at_the_checkpoint(
    consumers: ConsumerDatabase,
) -> None:
    first = await Member.joined(consumers)
    before = await first.grants()
    await first.save(mark(before[0], 17), mark(before[1], 4))
    await consumers.heartbeat(first.worker, "test", 60, [], new=False)
    second = await Member.joined(consumers)
    after = await second.grants()
    assert [grant.checkpoint for grant in after] == [17, 4, 0, 0]
    assert all(new.epoch > old.epoch for new, old in zip(after, before, strict=True))


async def test_an_instance_that_was_replaced_cannot_save(consumers: ConsumerDatabase) -> None:
    first = await Member.joined(consumers)
    grants = await first.grants()
    await consumers.heartbeat(first.worker, "test", 60, [], new=False)
    second = await Member.joined(consumers)
    await second.grants()
    with pytest.raises(NotAMemberError):
        await first.save(mark(grants[0], 99))
    with pytest.raises(NotAMemberError):
        await first.grants()
    assert (await second.grants())[0].checkpoint == 0


async def test_a_past_epoch_cannot_save_even_for_the_same_instance(
    consumers: ConsumerDatabase,
) -> None:
    member = await Member.joined(consumers)
    old = await member.grants()
    await member.save(mark(old[0], 5, release=True))
    assert (await member.grants())[0].epoch > old[0].epoch
    with pytest.raises(NotAMemberError):
        await member.save(mark(old[0], 99), mark(old[1], 99))
    assert [grant.checkpoint for grant in await member.grants()] == [5, 0, 0, 0]


async def test_a_checkpoint_never_moves_backwards(consumers: ConsumerDatabase) -> None:
    member = await Member.joined(consumers)
    grant, *_ = await member.grants()
    await member.save(mark(grant, 7))
    await member.save(mark(grant, 3))
    assert (await member.grants())[0].checkpoint == 7


async def test_a_process_without_heartbeats_loses_its_partitions(consumers: ConsumerDatabase) -> None:
    silent = await Member.joined(consumers, lease=0.05)
    await silent.partitions()
    living = await Member.joined(consumers)
    while len(await living.partitions()) < TOTAL:
        await living.heartbeat()
    assert await silent.heartbeat() is None


async def test_a_process_that_is_considered_dead_cannot_join(consumers: ConsumerDatabase) -> None:
    with pytest.raises(NotAMemberError):
        await consumers.join(KEY, uuid4(), uuid4(), partitions=2, from_now=False, types=[])


async def test_a_new_consumer_starts_at_the_beginning_or_now(
    consumers: ConsumerDatabase, postgres_store: PostgresEventStore
) -> None:
    await postgres_store.append([to(key())])
    old = await Member.joined(consumers)
    new = await Member.joined(consumers, ConsumerKey(ACME, "later"), from_now=True)
    assert {grant.checkpoint for grant in await old.grants()} == {0}
    assert {grant.checkpoint for grant in await new.grants()} == {1}
    # Only when it is new: an instance that joins later continues where the others are.
    again = await Member.joined(consumers, from_now=True)
    assert (await consumers.balance(KEY, again.instance)).grants == []


async def test_many_join_a_new_consumer_at_once(consumers: ConsumerDatabase) -> None:
    members = await asyncio.gather(*(Member.joined(consumers) for _ in range(6)))
    held = [p for member in members for p in await member.partitions()]
    for member in members:
        share = await consumers.balance(KEY, member.instance)
        await member.save(*(mark(grant, 0, True) for grant in share.grants[share.size :]))
    held = [p for member in members for p in await member.partitions()]
    assert sorted(held) == [0, 1, 2, 3]


async def test_a_stream_that_is_set_aside_is_saved_and_removed_with_the_checkpoint(
    consumers: ConsumerDatabase,
) -> None:
    member = await Member.joined(consumers)
    grant, *_ = await member.grants()
    kept = StreamMark(0, key("o-1"), 3, 40, 2, "no", 30.0, False)
    await member.save(mark(grant, 50), streams=[kept])
    (saved,) = await consumers.set_aside_streams(KEY, [0, 1])
    assert (saved.key, saved.version, saved.position, saved.attempts) == (key("o-1"), 3, 40, 2)
    assert 25 < saved.retry_in <= 30
    assert (await consumers.list(ACME))[0].position == 0
    assert await consumers.set_aside_streams(KEY, [1]) == []
    await member.save(mark(grant, 60), rejoined=[(0, key("o-1"))])
    assert await consumers.set_aside_streams(KEY, [0]) == []


async def parked(
    consumers: ConsumerDatabase, store: PostgresEventStore, on: ConsumerKey, types: Sequence[str] = ()
) -> Member:
    """Return a member whose stream o-1, with the events at 1, 2 and 4, is parked on the first of them."""
    await store.append([to(key("o-1"), 0, command(2)), to(key("o-2"))])
    await store.append([to(key("o-1"), 2, command([event(kind="orders.v1.OrderConfirmed")]))])
    member = await Member.joined(consumers, on, types=types)
    grants = await member.grants()
    await member.save(*(mark(grant, 4) for grant in grants), streams=[set_aside(0, key("o-1"), 1, True)])
    return member


async def positions_of(consumers: ConsumerDatabase, **filters: Any) -> list[int]:
    return [row.entry.position for row in await consumers.parked(None, 10, **filters)]


@pytest.mark.parametrize("on", [KEY, ALL])
async def test_what_is_parked_is_listed_replayed_and_dropped(
    consumers: ConsumerDatabase, postgres_store: PostgresEventStore, on: ConsumerKey
) -> None:
    await parked(consumers, postgres_store, on)
    rows = await consumers.parked(None, 10, consumer=on.name)
    assert [(row.entry.position, row.attempts, row.error) for row in rows] == [
        (1, 2, "no"),
        (2, 0, ""),
        (4, 0, ""),
    ]
    assert {row.consumer for row in rows} == {on}
    assert rows[0].entry == (await postgres_store.read_positions([1]))[0]
    assert (await consumers.list(None))[0][2:] == (4, 4, 1, 1, [], "")

    assert await consumers.drop(on, 2, "a test", "ann")
    assert not await consumers.drop(on, 2, "a test", "ann")
    assert not await consumers.drop(on, 3, "not parked", "ann")
    assert not await consumers.drop(on, 99, "no event", "ann")
    assert await positions_of(consumers, aggregate_type="Order", aggregate_id="o-1") == [1, 4]
    assert await positions_of(consumers, position=4) == [4]
    assert await positions_of(consumers, position=2) == []
    assert await consumers.replay(on, key("o-2")) is None
    assert await consumers.replay(on, key("o-1")) == 2
    (replayed,) = await consumers.set_aside_streams(on, [0])
    assert (replayed.parked, replayed.attempts, replayed.position) == (False, 0, 1)
    assert replayed.dropped == {2}
    assert await consumers.parked(None, 10) == []
    assert await consumers.replay(on, key("o-1")) is None


async def test_dropping_the_failed_event_lets_the_rest_continue(
    consumers: ConsumerDatabase, postgres_store: PostgresEventStore
) -> None:
    member = await parked(consumers, postgres_store, KEY)
    before = await member.heartbeat()
    assert await consumers.drop(KEY, 1, "a test", "ann")
    (left,) = await consumers.set_aside_streams(KEY, [0])
    assert (left.parked, left.attempts, left.version, left.position) == (False, 0, 2, 2)
    assert await member.heartbeat() != before
    assert (await consumers.list(ACME))[0].position == 1


async def test_unwanted_events_of_a_parked_stream_are_not_parked(
    consumers: ConsumerDatabase, postgres_store: PostgresEventStore
) -> None:
    await parked(consumers, postgres_store, KEY, ["orders.v1.OrderPlaced"])
    rows = await consumers.parked(ACME, 10, consumer=KEY.name)
    assert [row.entry.position for row in rows] == [1, 2]
    assert not await consumers.drop(KEY, 4, "not wanted", "ann")


async def test_consumers_of_the_same_name_are_separate_per_tenant(
    consumers: ConsumerDatabase, postgres_store: PostgresEventStore
) -> None:
    await parked(consumers, postgres_store, KEY)
    await Member.joined(consumers, ALL)
    await Member.joined(consumers, ConsumerKey(GLOBEX, KEY.name))
    assert [(row.tenant, row.parked) for row in await consumers.list(None)] == [
        (EVERY_TENANT, 0),
        (ACME, 1),
        (GLOBEX, 0),
    ]
    assert [row.tenant for row in await consumers.list(GLOBEX)] == [GLOBEX]
    assert await consumers.parked(GLOBEX, 10) == []
    assert await consumers.replay(ALL, key("o-1")) is None
    assert not await consumers.drop(ConsumerKey(GLOBEX, KEY.name), 1, "theirs", "ann")


async def test_a_consumer_is_removed_when_it_has_no_instance(consumers: ConsumerDatabase) -> None:
    member = await Member.joined(consumers)
    assert await consumers.remove(KEY) is False
    await consumers.heartbeat(member.worker, "test", 60, [], new=False)
    assert await consumers.remove(KEY) is True
    assert await consumers.remove(KEY) is None
    assert await consumers.list(None) == []


async def test_the_log_is_read_by_partitions_tenants_and_types(
    consumers: ConsumerDatabase, postgres_store: PostgresEventStore
) -> None:
    for tenant in (ACME, GLOBEX):
        streams = [to(key(f"o-{n}", tenant), 0, command([event(kind=f"t.{n % 2}")])) for n in range(20)]
        await postgres_store.append(streams)
    log = await postgres_store.read_log(0, 100)

    def wanted(partitions: Sequence[int]) -> list[int]:
        keys = [(e.position, StreamKey(e.tenant, e.aggregate_type, e.aggregate_id)) for e in log]
        return [position for position, k in keys if partition_of(k, TOTAL) in partitions]

    async def read(*arguments: object) -> list[int]:
        return [entry.position for entry in await consumers.read(*arguments)]  # type: ignore[arg-type]

    assert await read(0, 40, 100, EVERY_TENANT, [], TOTAL, [0, 1, 2, 3]) == list(range(1, 41))
    assert await read(0, 40, 100, EVERY_TENANT, [], TOTAL, [1, 2]) == wanted([1, 2])
    assert await read(5, 30, 100, GLOBEX, [], TOTAL, [0, 1, 2, 3]) == list(range(21, 31))
    assert await read(0, 40, 100, ACME, [], TOTAL, [3]) == [p for p in wanted([3]) if p <= 20]
    assert await read(0, 40, 3, ACME, ["t.1"], TOTAL, [0, 1, 2, 3]) == [2, 4, 6]


@given(
    stream=st.tuples(*[st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))] * 3),
    total=st.integers(1, 256),
)
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_python_and_sql_agree_on_partitions(
    database: Database, stream: tuple[str, str, str], total: int
) -> None:
    connection = await asyncpg.connect(database.owner)
    try:
        await connection.execute("set role orders_log")
        partition = await connection.fetchval("select orders.partition_of($1, $2, $3, $4)", *stream, total)
    finally:
        await connection.close()
    assert partition == partition_of(StreamKey(*stream), total)
