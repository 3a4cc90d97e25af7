"""The stores in memory and in PostgreSQL give the same answers to the same calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from intent.origin import Origin, TraceContext
from intent.records import CommandKey, LogEntry, Snapshot, StreamKey
from intent.store import (
    Appended,
    AppendResult,
    CommandWrite,
    EventStore,
    EventWrite,
    LogFilter,
    MemoryEventStore,
    StreamAppend,
)
from intent.store.postgres import PostgresEventStore

from ..support.databases import Database
from .transactions import connected

TENANTS = ("acme", "globex")
TYPES = ("orders.v1.OrderPlaced", "orders.v1.OrderConfirmed")
KEYS = [StreamKey(t, kind, name) for t in TENANTS for kind in ("Order", "Basket") for name in ("a", "é~\n")]
IDS = [UUID(int=n) for n in range(1, 13)]
TEXT = st.sampled_from(("", "x", "'\"; drop", "üñ\U0001f642"))


@dataclass(frozen=True)
class Step:
    """An append; an offset says how far its expected versions are from the real ones."""

    streams: Sequence[tuple[StreamAppend, int]]


@st.composite
def commands(draw: st.DrawFn, command_id: UUID) -> CommandWrite:
    events = [
        EventWrite(draw(st.uuids()), kind, draw(st.integers(1, 3)), draw(st.binary(max_size=8)))
        for kind in draw(st.lists(st.sampled_from(TYPES), max_size=3))
    ]
    correlation, causation, actor, workflow = draw(st.tuples(TEXT, TEXT, TEXT, TEXT))
    trace = draw(st.builds(TraceContext, TEXT, TEXT))
    origin = Origin("", command_id, correlation, causation, actor, trace)
    outcome = draw(st.binary(max_size=8))
    return CommandWrite(origin, draw(st.binary(max_size=4)), outcome, events, workflow)


@st.composite
def steps(draw: st.DrawFn) -> Step:
    keys = draw(st.lists(st.sampled_from(KEYS), unique=True, min_size=1, max_size=5))
    unused = {tenant: draw(st.permutations(IDS)) for tenant in TENANTS}
    streams = []
    for key in keys:
        many = draw(st.integers(0, 2))
        ids, unused[key.tenant] = unused[key.tenant][:many], unused[key.tenant][many:]
        snapshot = draw(st.none() | st.builds(Snapshot, st.just(0), st.integers(1, 2), st.binary(max_size=4)))
        append = StreamAppend(key, 0, [draw(commands(command_id)) for command_id in ids], snapshot)
        streams.append((append, draw(st.sampled_from((0, 0, 0, 0, 1, -1)))))
    return Step(streams)


async def expecting(store: EventStore, step: Step) -> list[StreamAppend]:
    """Fill in the versions that the step expects, and those of its snapshots."""
    loaded = await store.load([append.key for append, _ in step.streams], [])
    appends = []
    for append, offset in step.streams:
        version = max(0, loaded.streams[append.key].version + offset)
        after = version + sum(len(command.events) for command in append.commands)
        snapshot = replace(append.snapshot, version=after) if append.snapshot and after else None
        appends.append(replace(append, expected_version=version, snapshot=snapshot))
    return appends


def plain(result: AppendResult) -> Any:
    return result.position, [
        list(o.positions) if isinstance(o, Appended) else (o.version, dict(o.duplicates))
        for o in result.outcomes
    ]


def timeless(entries: Sequence[LogEntry]) -> list[LogEntry]:
    return [entry._replace(recorded_at=datetime.min.replace(tzinfo=UTC)) for entry in entries]


async def everything(store: EventStore) -> dict[str, Any]:
    """Return everything that can be read."""
    loaded = await store.load(KEYS, [CommandKey(tenant, known) for tenant in TENANTS for known in IDS])
    filters = [
        LogFilter(tenant="acme"),
        LogFilter(types=[TYPES[1]]),
        LogFilter(tenant="globex", aggregate_type="Order", types=TYPES),
        LogFilter(tenant="acme", aggregate_type="Basket", aggregate_id="é~\n"),
        LogFilter(tenant="acme", correlation_id="x"),
        LogFilter(correlation_id="üñ\U0001f642"),
    ]
    return {
        "position": await store.position(),
        "versions": {key: stream.version for key, stream in loaded.streams.items()},
        "snapshots": {key: stream.snapshot for key, stream in loaded.streams.items()},
        "events": {key: list(stream.events) for key, stream in loaded.streams.items()},
        "commands": loaded.commands,
        "log": timeless(await store.read_log(0, 1000)),
        "pages": [timeless(await store.read_log(2, 3, only)) for only in filters],
        "positions": timeless(await store.read_positions([3, 1, 3, 50])),
        "streams": [timeless(await store.read_stream(key, 1, 2)) for key in KEYS],
    }


async def empty(database: Database) -> None:
    async with connected(database.admin, database) as admin:
        await admin.execute("truncate events, commands, snapshots; update head set position = 0")


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(history=st.lists(steps(), min_size=1, max_size=6))
async def test_both_stores_give_the_same_answers(
    database: Database, postgres_store: PostgresEventStore, history: list[Step]
) -> None:
    await empty(database)
    memory = MemoryEventStore()
    for step in history:
        batch = await expecting(memory, step)
        assert plain(await postgres_store.append(batch)) == plain(await memory.append(batch))
        assert await everything(postgres_store) == await everything(memory)
