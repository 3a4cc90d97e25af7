"""What would hold up a batch is set apart: long streams, and what only a newer release can read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from uuid import uuid4

import pytest
from intent.commands import AggregateCache, CarrierSettings, CommandHandling
from intent.contracts import Registry
from intent.errors import NewerReleaseNeeded, Unavailable
from intent.ids import new_id
from intent.model import BoundContext, load_context
from intent.origin import Origin
from intent.process.assembly import CommandPath, ContextProcess
from intent.records import CommandKey, LogEntry, Snapshot, StreamKey
from intent.settings.config import Settings
from intent.store import CommandWrite, EventStore, EventWrite, StreamAppend
from intent.store.memory import MemoryEventStore
from intent.temporal.names import batch_workflow_prefix
from intent.waiting import now
from intent_contracts.intent.v1 import CommandEnvelope, CommandStatus
from intent_contracts.orders.v1 import ChangeLine, ConfirmOrder, LineChanged, Money, OrderLine, OrderPlaced

from ..support.command_path import Requests, Running, eventually, place
from ..support.releases import reading

LONG = 25_000
WORKFLOW = batch_workflow_prefix("orders") + "1"


def key(order: str) -> StreamKey:
    return StreamKey("acme", "Order", order)


def placed(version: int = 2) -> EventWrite:
    line = OrderLine(line_id="1", sku="tea", quantity=1, unit_price=Money(minor_units=500, currency="EUR"))
    event = OrderPlaced(customer_id="ann", lines=[line])
    return EventWrite(new_id(), "orders.v1.OrderPlaced", version, event.SerializeToString())


def changed(quantity: int) -> EventWrite:
    event = LineChanged(line_id="1", quantity=quantity)
    return EventWrite(new_id(), "orders.v1.LineChanged", 1, event.SerializeToString())


async def fill(store: EventStore, order: str, events: int, snapshot: Snapshot | None = None) -> None:
    """Record an order with so many events, and no snapshot but the given one."""
    written = 0
    while written < events:
        page = [
            placed() if not number else changed(2 + number % 5)
            for number in range(written, min(events, written + 5_000))
        ]
        last = snapshot if written + len(page) == events else None
        write = CommandWrite(Origin("acme", uuid4(), "fill"), b"", b"", page)
        await store.append([StreamAppend(key(order), written, [write], last)])
        written += len(page)


async def kept(store: EventStore, order: str) -> Snapshot | None:
    return (await store.load([key(order)], [])).streams[key(order)].snapshot


def envelope(command: ChangeLine | ConfirmOrder, tenant: str = "acme") -> CommandEnvelope:
    return CommandEnvelope(
        tenant_id=tenant,
        command_id=str(uuid4()),
        type=command.DESCRIPTOR.full_name,
        data=command.SerializeToString(),
    )


def change(order: str, quantity: int = 9) -> ChangeLine:
    return ChangeLine(order_id=order, line_id="1", quantity=quantity)


@pytest.mark.parametrize(
    "snapshot",
    [None, Snapshot(LONG, 0, b"a state that no upcaster reads")],
    ids=["no snapshot", "an unusable snapshot"],
)
async def test_a_long_stream_holds_up_nobody_and_is_read_once(
    path: CommandPath, running: Running, request_of: Requests, snapshot: Snapshot | None
) -> None:
    await fill(path.store, "long", LONG, snapshot)
    for number in range(4):
        await path.router.handle(request_of(place(f"quick-{number}")))
    began = now()
    long = asyncio.create_task(path.router.handle(request_of(change("long"), applied_only=True)))
    handled = 0
    while not long.done():
        request = request_of(change(f"quick-{handled % 4}", 2 + handled % 90), applied_only=True)
        await path.router.handle(request)
        handled += 1
    assert (await long).version == LONG + 1
    took = now() - began
    assert handled >= 5, "other aggregates are handled while the long stream is read"
    found = await kept(path.store, "long")
    assert found is not None
    assert found.version >= LONG
    async with running() as other:
        started = now()
        assert (await other.router.handle(request_of(change("long", 8)))).version == LONG + 2
        assert now() - started < took, "another process begins at the snapshot"


async def test_what_is_set_apart_is_waited_for_from_before_it_has_begun(
    running: Running, request_of: Requests, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As on a busy machine: its caller looks for it at once.
    settings = partial(CarrierSettings, follow_after=0.0)
    monkeypatch.setattr("intent.process.command_path.CarrierSettings", settings)
    async with running() as path:
        await fill(path.store, "long", 2_000)
        assert (await path.router.handle(request_of(change("long"), applied_only=True))).version == 2_001


async def test_reading_a_long_stream_is_continued_where_it_broke_off(bound: BoundContext) -> None:
    class Breaking(MemoryEventStore):
        pages = 0

        async def read_stream(
            self, key: StreamKey, after_version: int = 0, limit: int = 1000, *, most_bytes: int | None = None
        ) -> Sequence[LogEntry]:
            self.pages += 1
            if self.pages == 12:
                raise ConnectionResetError
            return await super().read_stream(key, after_version, limit, most_bytes=most_bytes)

    store = Breaking()
    await fill(store, "long", 20_000)
    handling = CommandHandling(bound, store, AggregateCache())
    command = envelope(change("long"))
    broken = await handling.handle([command], WORKFLOW, apart=True)
    assert broken.outcomes[0].failure.reason == "INTERNAL"
    found = await kept(store, "long")
    assert found is not None
    assert found.version >= 5_000
    handled = await handling.handle([command], WORKFLOW, apart=True)
    assert handled.outcomes[0].result.version == 20_001
    assert store.pages < 30


async def test_a_snapshot_is_kept_after_restoring_from_many_events_even_without_an_interval() -> None:
    bound = load_context("orders").bind(Registry.load())
    store = MemoryEventStore()
    await fill(store, "o-1", 300)
    await fill(store, "o-2", 200)
    bound.aggregates["Order"].snapshot_every = 0
    handling = CommandHandling(bound, store, AggregateCache())
    handled = await handling.handle([envelope(change("o-1")), envelope(change("o-2"))], WORKFLOW)
    assert [outcome.result.version for outcome in handled.outcomes] == [301, 201]
    found = await kept(store, "o-1")
    assert found is not None
    assert found.version == 301
    assert await kept(store, "o-2") is None


async def test_only_commands_of_the_long_stream_are_set_apart_and_repeats_go_with_them(
    bound: BoundContext,
) -> None:
    store = MemoryEventStore()
    await fill(store, "long", 2_000)
    await fill(store, "short", 3)
    handling = CommandHandling(bound, store, AggregateCache())
    twice = envelope(change("long"))
    batch = [twice, envelope(change("short")), envelope(change("long", 8)), twice]
    handled = await handling.handle(batch, WORKFLOW)
    apart = {outcome.continued_in for outcome in handled.outcomes if outcome.continued_in}
    assert [bool(outcome.continued_in) for outcome in handled.outcomes] == [True, False, True, True]
    assert handled.outcomes[1].result.version == 4
    assert len(apart) == 1
    assert apart.pop().startswith(WORKFLOW + "/")


def newer() -> BoundContext:
    """Return the context as a later release has it, which reads version 3 of OrderPlaced."""
    return reading(load_context("orders").bind(Registry.load()), "orders.v1.OrderPlaced", 3)


async def test_an_event_of_a_newer_release_is_left_to_it_and_its_neighbours_are_handled(
    bound: BoundContext,
) -> None:
    store = MemoryEventStore()
    write = CommandWrite(Origin("acme", uuid4(), "c"), b"", b"", [placed(3)])
    await store.append([StreamAppend(key("newer"), 0, [write])])
    await fill(store, "known", 1)
    old = CommandHandling(bound, store, AggregateCache())
    command = envelope(ConfirmOrder(order_id="newer"))
    unknown = CommandEnvelope(tenant_id="acme", command_id=str(uuid4()), type="orders.v1.InventedLater")
    handled = await old.handle([command, envelope(ConfirmOrder(order_id="known")), unknown], WORKFLOW)
    assert [bool(outcome.continued_in) for outcome in handled.outcomes] == [True, False, True]
    assert handled.outcomes[1].result.version == 2
    for left in (command, unknown):
        with pytest.raises(NewerReleaseNeeded, match="newer"):
            await old.handle([left], WORKFLOW, apart=True)
    new = CommandHandling(newer(), store, AggregateCache())
    assert (await new.handle([command], WORKFLOW)).outcomes[0].result.version == 2


@asynccontextmanager
async def process(settings: Settings, context: BoundContext) -> AsyncIterator[CommandPath]:
    async with ContextProcess(settings, context).started() as path:
        yield path


async def test_during_a_rolling_update_commands_that_meet_newer_events_wait_for_the_new_release(
    settings: Settings, bound: BoundContext, request_of: Requests
) -> None:
    patience = settings.model_copy(update={"unavailable_after": 2.0})
    async with process(patience, bound) as old:
        write = CommandWrite(Origin("acme", uuid4(), "c"), b"", b"", [placed(3)])
        await old.store.append([StreamAppend(key("newer"), 0, [write])])
        asked = request_of(ConfirmOrder(order_id="newer"), applied_only=True)
        with pytest.raises(Unavailable) as told:
            await old.router.handle(asked)
        assert told.value.retry_after_ms
        submitted = await old.router.submit(request_of(ConfirmOrder(order_id="newer"), applied_only=True))
        report = await old.router.outcome("acme", submitted.command_id, submitted.handle)
        assert report.status == CommandStatus.COMMAND_STATUS_PENDING
        assert (await old.router.handle(request_of(place("other"), applied_only=True))).version == 1
        async with process(patience, newer()):

            async def recorded() -> bool:
                return await old.store.command(CommandKey("acme", asked.origin.command_id)) is not None

            async def answered() -> bool:
                with suppress(Unavailable):  # Asked again with the same id, as it says.
                    return (await old.router.handle(asked)).duplicate
                return False

            await eventually(recorded, 60)
            await eventually(answered, 60)
