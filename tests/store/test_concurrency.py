"""Many concurrent callers on the same streams and the same command ids."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
import pytest_asyncio
from intent.records import CommandKey, Snapshot, StreamKey
from intent.store import Appended, Conflict, EventStore
from intent.store.postgres import PostgresEventStore

from ..support.databases import Database
from .builders import ACME, GLOBEX, command, key, positions, to


@pytest_asyncio.fixture
async def store(database: Database) -> AsyncIterator[PostgresEventStore]:
    """A store with a connection for each of many callers."""
    opened = await PostgresEventStore.open(database.service, database.context, connections=12)
    yield opened
    await opened.close()


@pytest.mark.parametrize("same_stream", [True, False])
async def test_one_command_id_100_times_at_once_has_one_effect_and_the_same_outcome(
    store: EventStore, same_stream: bool
) -> None:
    command_id = uuid4()
    tries = [
        to(key("o-1" if same_stream else f"o-{n}"), 0, command(2, known_as=command_id)) for n in range(100)
    ]

    results = await asyncio.gather(*(store.append([attempt]) for attempt in tries))

    outcomes = [result.outcomes[0] for result in results]
    won = [outcome for outcome in outcomes if isinstance(outcome, Appended)]
    lost = [outcome for outcome in outcomes if isinstance(outcome, Conflict)]
    assert [list(outcome.positions) for outcome in won] == [[2]]
    first = await store.command(CommandKey(ACME, command_id))
    assert first is not None
    assert [outcome.duplicates for outcome in lost] == [{command_id: first}] * 99
    assert positions(await store.read_log(0, 1000)) == [1, 2]


async def test_100_callers_on_one_stream_all_succeed_with_contiguous_versions(store: EventStore) -> None:
    async def decide() -> int:
        while True:
            version = (await store.load([key()], [])).streams[key()].version
            result = await store.append([to(key(), version)])
            if isinstance(result.outcomes[0], Appended):
                return version + 1

    versions = await asyncio.gather(*(decide() for _ in range(100)))

    assert sorted(versions) == list(range(1, 101))
    assert [entry.version for entry in await store.read_stream(key())] == list(range(1, 101))


async def test_overlapping_batches_in_any_order_neither_deadlock_nor_lose_anything(store: EventStore) -> None:
    streams = [key(f"o-{n}", tenant) for n in range(6) for tenant in (ACME, GLOBEX)]
    written: Counter[StreamKey] = Counter()
    shared_ids = [uuid4() for _ in range(40)]

    async def write(writer: int) -> None:
        chance = random.Random(writer)
        versions = dict.fromkeys(streams, 0)
        for turn in range(40):
            picked = chance.sample(streams, chance.randint(1, 6))
            batch = [
                to(
                    stream,
                    versions[stream],
                    command(chance.randint(0, 2)),
                    *([command(1, known_as=shared_ids[turn])] if n == 0 and turn % 3 == 0 else []),
                    snapshot=Snapshot(versions[stream] + 1, 1, b"state") if chance.random() < 0.2 else None,
                )
                for n, stream in enumerate(picked)
            ]
            result = await store.append(batch)
            for append, outcome in zip(batch, result.outcomes, strict=True):
                events = sum(len(command.events) for command in append.commands)
                if isinstance(outcome, Appended):
                    versions[append.key] += events
                    written[append.key] += events
                else:
                    versions[append.key] = outcome.version

    async with asyncio.timeout(120):
        await asyncio.gather(*(write(writer) for writer in range(8)))

    log = await store.read_log(0, 100_000)
    assert positions(log) == list(range(1, len(log) + 1))
    assert Counter(StreamKey(e.tenant, e.aggregate_type, e.aggregate_id) for e in log) == +written
    for stream in streams:
        versions = [e.version for e in await store.read_stream(stream, limit=10_000)]
        assert versions == list(range(1, written[stream] + 1))
    once = Counter((e.tenant, e.command_id) for e in log if e.command_id in shared_ids)
    assert set(once.values()) == {1}


async def test_a_cancelled_call_leaves_the_connections_usable_and_the_log_whole(store: EventStore) -> None:
    chance = random.Random(7)

    async def cancelled(n: int) -> None:
        if n % 2:
            call = asyncio.create_task(store.append([to(key(f"o-{n}"), 0, command(3))]))
        else:
            call = asyncio.create_task(store.load([key(f"o-{n - 1}")], []))  # type: ignore[arg-type]
        for _ in range(chance.randint(0, 40)):
            await asyncio.sleep(0)
        call.cancel()
        await asyncio.wait([call])

    await asyncio.gather(*(cancelled(n) for n in range(200)))

    final = await store.append([to(key("after"))])
    log = await store.read_log(0, 10_000)
    # What was cancelled on its way to the server may still arrive.
    assert positions(log) == list(range(1, len(log) + 1))
    assert len(log) >= final.position
    whole = Counter(entry.aggregate_id for entry in log)
    assert set(whole.values()) <= {1, 3}
    assert min(await asyncio.gather(*(store.position() for _ in range(30)))) >= final.position
