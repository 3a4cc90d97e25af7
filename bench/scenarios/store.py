"""The event store alone: appends, loads, and rebuilds of read models from it."""

from __future__ import annotations

import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import Any
from uuid import uuid4

import asyncpg
from intent.commands import AggregateCache, CommandHandling
from intent.contracts import Registry
from intent.model import BoundContext, load_context
from intent.projections.supervisor import ProjectionSupervisor
from intent.records import StreamKey
from intent.store import StreamAppend
from intent.store.postgres import PostgresEventStore
from intent_contracts.intent.v1 import CommandEnvelope
from intent_contracts.orders.v1 import ChangeLine, Money, OrderLine, PlaceOrder

from bench.orders import changed, order, placed
from bench.platform import CONTEXT, Platform
from bench.report import Figure

BATCH = 256
ROUNDS = 10
BATCHES = 25

RAW_TABLE = f"create schema raw; create table raw.events (like {CONTEXT}.events including all)"
RAW_INSERT = """
insert into raw.events select * from unnest(
    $1::bigint[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::uuid[], $7::text[], $8::int[],
    $9::bytea[], $10::uuid[], $11::text[], $12::text[], $13::text[], $14::text[], $15::timestamptz[])
"""


@asynccontextmanager
async def opened(platform: Platform) -> AsyncIterator[PostgresEventStore]:
    """Open the store as a context process does."""
    store = await PostgresEventStore.open(platform.dsn(CONTEXT, "service"), CONTEXT)
    try:
        yield store
    finally:
        await store.close()


async def timed(act: Callable[[Any], Awaitable[object]], work: Sequence[Any]) -> float:
    start = time.perf_counter()
    for item in work:
        await act(item)
    return time.perf_counter() - start


async def append_256(platform: Platform) -> Figure:
    """Measure batches of 256 commands on as many new orders, against bare inserts of the same events.

    The bare table has the log's columns and indexes, but no commands, no outcomes, no versions to
    check and no row security. The two take turns under the same conditions.
    """
    ours: list[float] = []
    theirs: list[float] = []
    async with opened(platform) as store:
        raw = await asyncpg.connect(platform.postgres.dsn)
        await raw.execute(RAW_TABLE)
        insert = await raw.prepare(RAW_INSERT)
        now, positions = await raw.fetchval("select now()"), count(1)
        for _ in range(ROUNDS + 1):
            work = [[order(n, [placed(n)]) for n in range(BATCH)] for _ in range(BATCHES)]
            columns = [raw_columns(batch, positions, now) for batch in work]
            theirs.append(await timed(lambda batch: insert.fetch(*batch), columns))
            ours.append(await timed(store.append, work))
        await raw.close()
    events = ROUNDS * BATCHES * BATCH
    note = f"{sum(ours[1:]) / ROUNDS / BATCHES * 1e3:.1f} ms per batch"
    return Figure(events / sum(ours[1:]), "events/s", events / sum(theirs[1:]), 0.45, note=note)


def raw_columns(batch: Sequence[StreamAppend], positions: Iterator[int], now: Any) -> list[Sequence[Any]]:
    """Return the rows that the store writes to its log, as columns."""
    rows = [
        (
            next(positions),
            *stream.key,
            1,
            event.event_id,
            event.type,
            event.schema_version,
            event.data,
            command.origin.command_id,
            command.origin.correlation_id,
            command.origin.causation_id,
            command.origin.actor,
            command.origin.trace.parent,
            now,
        )
        for stream in batch
        for command in stream.commands
        for event in command.events
    ]
    return list(zip(*rows, strict=True))


REBUILT_ORDERS = 12_000
EVENTS_PER_ORDER = 10


async def rebuild(platform: Platform) -> Figure:
    """Measure the rebuild of both read models from 120,000 events; the slower one counts."""
    rates: dict[str, float] = {}
    async with opened(platform) as store:
        for first in range(0, REBUILT_ORDERS, BATCH):
            numbers = range(first, min(first + BATCH, REBUILT_ORDERS))
            await store.append(
                [order(n, [placed(n), *map(changed, range(EVENTS_PER_ORDER - 1))]) for n in numbers]
            )
        context = orders()
        projections = ProjectionSupervisor(context, store, store.pool)
        await projections.start()
        head = await store.position()
        await projections.reach(head, 600)
        for name in (projection.name for projection in context.projections):
            start = time.perf_counter()
            async for _ in projections.rebuild(name):
                pass
            rates[name] = head / (time.perf_counter() - start)
        await projections.stop()
    note = ", ".join(f"{name} {rate:,.0f}" for name, rate in rates.items())
    return Figure(min(rates.values()), "events/s", None, 20_000, note=note)


LONG = 10_000
SHORT = 10
LOADS = 300


async def load_snapshotted(platform: Platform) -> Figure:
    """Measure the load of an order of 10,000 events with its snapshots, against one of 10 events.

    The long one ends half-way between two snapshots, as an order does on average.
    """
    context = orders()
    kind = context.aggregates["Order"]
    async with opened(platform) as store:
        long = await changed_order(context, store, LONG + kind.snapshot_every // 2)
        short = await changed_order(context, store, SHORT)
        times: dict[StreamKey, list[float]] = {long: [], short: []}
        for _ in range(LOADS):
            for key, took in times.items():
                start = time.perf_counter()
                stream = (await store.load([key], [])).streams[key]
                kind.restore(key.tenant, key.aggregate_id, snapshot=stream.snapshot, events=stream.events)
                took.append(time.perf_counter() - start)
    value, baseline = (statistics.median(times[key]) * 1e3 for key in (long, short))
    return Figure(value, "ms", baseline, 2, at_most=True)


async def changed_order(context: BoundContext, store: PostgresEventStore, events: int) -> StreamKey:
    """Create an order with a number of events by the platform's own handling, including snapshots."""
    handling = CommandHandling(context, store, AggregateCache())
    key = StreamKey("tenant-0", "Order", uuid4().hex)
    price = Money(minor_units=5, currency="EUR")
    lines = [OrderLine(line_id="1", sku="tea", quantity=1, unit_price=price)]
    place = PlaceOrder(order_id=key.aggregate_id, customer_id="ann", lines=lines)
    change = (
        ChangeLine(order_id=key.aggregate_id, line_id="1", quantity=n % 9000 + 2) for n in range(events - 1)
    )
    commands = [place, *change]
    for first in range(0, events, 50):
        await handling.handle([envelope(key.tenant, command) for command in commands[first : first + 50]])
    return key


def envelope(tenant: str, command: Any) -> CommandEnvelope:
    return CommandEnvelope(
        tenant_id=tenant,
        command_id=str(uuid4()),
        type=command.DESCRIPTOR.full_name,
        data=command.SerializeToString(),
    )


def orders() -> BoundContext:
    return load_context(CONTEXT).bind(Registry.load())


SCENARIOS = {"append_256": append_256, "rebuild": rebuild, "load_snapshotted": load_snapshotted}
