"""Processes that serve the same consumers never lock each other out."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import asyncpg
from intent.consumers import ConsumerDatabase, ConsumerKey
from intent.consumers.changes import Changes, PartitionMark, StreamMark
from intent.consumers.database import NotAMemberError
from intent.records import StreamKey
from intent.store.postgres import PostgresEventStore

from ..store.builders import ACME
from ..support.databases import Database

KEYS = [ConsumerKey(ACME, name) for name in ("one", "two", "three")]
TOTAL = 4
PARKED = [StreamKey(ACME, "Order", f"o-{partition}") for partition in range(TOTAL)]
LEASE = 0.02
ROUNDS = 60


class Lapsing:
    """A process whose lease has mostly lapsed when it shares out partitions, as all do after a stall."""

    def __init__(self, database: ConsumerDatabase) -> None:
        self._database = database

    async def run(self, rounds: int) -> None:
        for _ in range(rounds):
            worker, members = uuid4(), [(key, uuid4()) for key in KEYS]
            ids = [instance for _, instance in members]
            await self._database.heartbeat(worker, "test", LEASE, [], new=True)
            await asyncio.gather(*(self._take_part(key, instance, worker) for key, instance in members))
            await self._database.heartbeat(worker, "test", LEASE, ids[1:], new=False)

    async def _take_part(self, key: ConsumerKey, instance: UUID, worker: UUID) -> None:
        types = [f"orders.v1.Type{uuid4().hex[:4]}"]
        try:
            await self._database.join(key, instance, worker, partitions=TOTAL, from_now=False, types=types)
            for release in (False, True):
                share = await self._database.balance(key, instance)
                marks = [PartitionMark(grant.partition, grant.epoch, 1, release) for grant in share.grants]
                streams = [
                    StreamMark(mark.partition, PARKED[mark.partition], 1, 1, 5, "no", 0.0, parked=True)
                    for mark in marks
                ]
                await self._database.save(key, instance, Changes(marks, streams))
                for mark in marks:
                    await self._database.replay(key, PARKED[mark.partition])
        except NotAMemberError:
            return


async def test_heartbeats_joins_and_shares_never_deadlock(
    postgres_store: PostgresEventStore, database: Database
) -> None:
    consumers = ConsumerDatabase(postgres_store.pool, "orders")
    await asyncio.gather(*(Lapsing(consumers).run(ROUNDS) for _ in range(6)))
    connection = await asyncpg.connect(database.admin)
    try:
        deadlocks = await connection.fetchval(
            "select deadlocks from pg_stat_database where datname = current_database()"
        )
    finally:
        await connection.close()
    assert deadlocks == 0
