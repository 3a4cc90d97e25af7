"""A batch is decided command by command; each gets its own outcome, once."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from uuid import UUID, uuid4

import pytest
from google.protobuf.message import Message
from intent.commands import AggregateCache, CommandHandling, Handled
from intent.commands.aggregates.new_guess import NewAggregateGuess
from intent.commands.handling import aside
from intent.contracts import Registry
from intent.model import BoundContext, handles
from intent.records import CommandKey, StreamKey
from intent.store.event_store import AppendResult, Conflict, Loaded, StreamAppend
from intent.store.memory import MemoryEventStore
from intent_contracts.intent.v1 import CommandEnvelope, CommandOutcome, FailureKind
from intent_contracts.orders.v1 import (
    CancelOrder,
    ChangeLine,
    ConfirmOrder,
    OrderConfirmed,
    PlaceOrder,
)
from orders.aggregates import Order
from orders.context import context as orders

from ..support.command_path import place


def envelope(
    command: Message, tenant: str = "acme", command_id: UUID | None = None, expected: int | None = None
) -> CommandEnvelope:
    return CommandEnvelope(
        tenant_id=tenant,
        command_id=str(command_id or uuid4()),
        type=command.DESCRIPTOR.full_name,
        data=command.SerializeToString(deterministic=True),
        correlation_id="story",
        expected_version=expected,
    )


def shown(handled: Handled) -> list[str]:
    """Return ``v<version>`` or the reason of each outcome."""
    return [_shown(outcome) for outcome in handled.outcomes]


def _shown(outcome: CommandOutcome) -> str:
    if outcome.HasField("result"):
        return f"v{outcome.result.version}" + ("*" if outcome.result.duplicate else "")
    return outcome.failure.reason + ("*" if outcome.failure.duplicate else "")


@pytest.fixture(scope="module")
def context() -> BoundContext:
    return orders.bind(Registry.load())


@pytest.fixture(params=["looks", "guesses"], autouse=True)
def guessing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run every test also with every aggregate assumed to be new, rightly or not."""
    if request.param == "guesses":
        monkeypatch.setattr(NewAggregateGuess, "likely", lambda *_: True)


class CountingStore(MemoryEventStore):
    """Counts how often it is asked for aggregates, and how many it refuses to append to."""

    def __init__(self) -> None:
        super().__init__()
        self.loads = 0
        self.conflicts = 0

    async def load(self, streams: Sequence[StreamKey], commands: Sequence[CommandKey]) -> Loaded:
        self.loads += bool(streams)
        return await super().load(streams, commands)

    async def append(self, streams: Sequence[StreamAppend]) -> AppendResult:
        result = await super().append(streams)
        self.conflicts += sum(isinstance(outcome, Conflict) for outcome in result.outcomes)
        return result


@pytest.fixture
def store() -> CountingStore:
    return CountingStore()


@pytest.fixture
def handling(context: BoundContext, store: MemoryEventStore) -> CommandHandling:
    return CommandHandling(context, store, AggregateCache())


async def test_commands_of_one_aggregate_are_decided_in_order_on_each_others_effect(
    handling: CommandHandling, store: MemoryEventStore
) -> None:
    handled = await handling.handle(
        [
            envelope(place("o-1")),
            envelope(ChangeLine(order_id="o-1", line_id="1", quantity=4)),
            envelope(ConfirmOrder(order_id="o-1")),
            envelope(ChangeLine(order_id="o-1", line_id="1", quantity=5)),
        ]
    )
    assert shown(handled) == ["v1", "v2", "v3", "ORDER_NOT_OPEN"]
    assert [o.result.position for o in handled.outcomes[:3]] == [1, 2, 3]
    entries = await store.read_log(0, 10)
    assert [entry.type for entry in entries] == [
        "orders.v1.OrderPlaced",
        "orders.v1.LineChanged",
        "orders.v1.OrderConfirmed",
    ]


async def test_a_batch_of_good_rejected_and_invalid_commands_gives_each_its_own_outcome(
    handling: CommandHandling, store: MemoryEventStore
) -> None:
    broken = envelope(place("o-2"))
    broken.data = b"\xff\xff"
    unknown = envelope(place("o-3"))
    unknown.type = "orders.v1.Nonsense"
    handled = await handling.handle(
        [
            envelope(place("o-1")),
            envelope(PlaceOrder(order_id="o-4")),
            broken,
            unknown,
            envelope(CancelOrder(order_id="missing", reason="why not")),
            envelope(place("o-5"), tenant="other"),
        ]
    )
    kinds = [o.failure.kind for o in handled.outcomes if o.HasField("failure")]
    assert kinds == [
        FailureKind.FAILURE_KIND_INVALID,
        FailureKind.FAILURE_KIND_INVALID,
        FailureKind.FAILURE_KIND_UNKNOWN_TYPE,
        FailureKind.FAILURE_KIND_NOT_FOUND,
    ]
    assert [o.result.version for o in (handled.outcomes[0], handled.outcomes[5])] == [1, 1]
    assert await store.position() == 2


async def test_a_repeated_command_gets_its_first_result_regardless_of_what_happened_since(
    context: BoundContext, handling: CommandHandling, store: MemoryEventStore
) -> None:
    first, later = envelope(place("o-1")), envelope(ConfirmOrder(order_id="o-1"))
    refused = envelope(ConfirmOrder(order_id="o-1"))
    await handling.handle([first])
    await handling.handle([later])
    assert shown(await handling.handle([refused])) == ["ORDER_ALREADY_CONFIRMED"]
    again = await handling.handle([first, later, refused])
    assert shown(again) == ["v1*", "v2*", "ORDER_ALREADY_CONFIRMED*"]
    assert again.outcomes[0].result.position == 1
    restarted = CommandHandling(context, store, AggregateCache())
    assert shown(await restarted.handle([later, first])) == ["v2*", "v1*"]
    assert await store.position() == 2


async def test_an_unexpected_version_is_answered_and_not_recorded(handling: CommandHandling) -> None:
    await handling.handle([envelope(place("o-1"))])
    command_id = uuid4()
    change = ChangeLine(order_id="o-1", line_id="1", quantity=3)
    wrong = await handling.handle([envelope(change, command_id=command_id, expected=7)])
    assert shown(wrong) == ["VERSION_CONFLICT"]
    assert dict(wrong.outcomes[0].failure.metadata) == {"expected_version": "7", "actual_version": "1"}
    assert list(wrong.recorded) == [False]
    right = await handling.handle([envelope(change, command_id=command_id, expected=1)])
    assert shown(right) == ["v2"]
    repeated = await handling.handle([envelope(change, command_id=command_id, expected=1)])
    assert shown(repeated) == ["v2*"]


async def test_commands_on_a_stale_copy_are_decided_again(
    context: BoundContext, handling: CommandHandling, store: MemoryEventStore
) -> None:
    other_process = CommandHandling(context, store, AggregateCache())
    await handling.handle([envelope(place("o-1"))])
    await other_process.handle([envelope(ChangeLine(order_id="o-1", line_id="1", quantity=2))])
    await other_process.handle([envelope(ConfirmOrder(order_id="o-1"))])
    handled = await handling.handle([envelope(ChangeLine(order_id="o-1", line_id="1", quantity=9))])
    assert shown(handled) == ["ORDER_NOT_OPEN"]
    expecting = await handling.handle([envelope(CancelOrder(order_id="o-1", reason="late"), expected=3)])
    assert shown(expecting) == ["v4"]


async def answered(handling: CommandHandling, batch: Sequence[CommandEnvelope]) -> list[bool]:
    """Return for each command of a batch that a workflow carries whether it is answered, not set apart."""
    return [outcome.HasField("result") for outcome in (await handling.handle(batch, "w")).outcomes]


async def test_a_batch_takes_so_many_events_however_often_they_are_decided(
    context: BoundContext, handling: CommandHandling, store: CountingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aside, "_BATCH_EVENTS", 10)
    other_process = CommandHandling(context, store, AggregateCache())
    await handling.handle([envelope(place("o-1"))])
    await other_process.handle([envelope(ChangeLine(order_id="o-1", line_id="1", quantity=2))])
    changes = [envelope(ChangeLine(order_id="o-1", line_id="1", quantity=n + 3)) for n in range(13)]
    assert await answered(handling, changes[:8]) == [True] * 8
    assert store.conflicts
    # What is recalled counts as well: its positions are in the result. The last one may exceed the limit.
    assert await answered(handling, changes) == [True] * 11 + [False] * 2


async def test_commands_that_are_handled_by_themselves_share_the_events_of_their_batch(
    handling: CommandHandling, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aside, "_BATCH_EVENTS", 10)
    poisoned = envelope(place("o-x"))
    poisoned.correlation_id = "a\x00b"
    batch = [poisoned, *(envelope(place(f"o-{number}")) for number in range(13))]
    assert await answered(handling, batch) == [False] + [True] * 11 + [False] * 2


async def test_commands_that_create_aggregates_soon_skip_loading(
    handling: CommandHandling, store: CountingStore
) -> None:
    for number in range(40):
        assert shown(await handling.handle([envelope(place(f"o-{number}"))])) == ["v1"]
    before = store.loads
    batch = [envelope(place(f"p-{number}")) for number in range(40)]
    assert shown(await handling.handle(batch)) == ["v1"] * 40
    assert (store.loads, store.conflicts) == (before, 0)


async def test_an_aggregate_wrongly_assumed_to_be_new_is_loaded_after_all(
    context: BoundContext, store: CountingStore
) -> None:
    async def experienced() -> CommandHandling:
        handling = CommandHandling(context, store, AggregateCache(0))
        await handling.handle([envelope(place(uuid4().hex)) for _ in range(40)])
        return handling

    first = envelope(place("theirs"))
    other_process = await experienced()
    assert shown(await other_process.handle([first])) == ["v1"]
    batch = [envelope(place("theirs")), envelope(place("mine"))]
    assert shown(await (await experienced()).handle(batch)) == ["ORDER_ALREADY_PLACED", "v1"]
    assert shown(await (await experienced()).handle([first])) == ["v1*"]
    change = envelope(ChangeLine(order_id="theirs", line_id="1", quantity=2))
    placed_and_changed = [envelope(place("theirs")), change]
    assert shown(await (await experienced()).handle(placed_and_changed)) == ["ORDER_ALREADY_PLACED", "v2"]


@pytest.mark.parametrize("guessing", ["looks"], indirect=True)
async def test_one_wrong_guess_is_enough_even_when_it_was_a_repeated_command(
    context: BoundContext, store: CountingStore
) -> None:
    handling = CommandHandling(context, store, AggregateCache(0))
    placed = [envelope(place(f"o-{number}")) for number in range(40)]
    await handling.handle(placed)
    assert shown(await handling.handle(placed[:1])) == ["v1*"]
    assert store.conflicts == 1
    assert shown(await handling.handle(placed[1:2])) == ["v1*"]
    assert store.conflicts == 1


class _Raising(Order):
    """An order whose confirmation is defective."""

    name = "Order"

    @handles
    def confirm(self, command: ConfirmOrder) -> OrderConfirmed:
        raise ZeroDivisionError("a defect")


@pytest.fixture
def defective(context: BoundContext, store: MemoryEventStore) -> CommandHandling:
    from intent.model import Context

    raising = Context(
        "orders",
        aggregates=[_Raising],
        projections=orders.projections,
        queries=orders.queries,
        upcasters=orders.upcasters,
        sagas=orders.sagas,
    )
    return CommandHandling(raising.bind(Registry.load()), store, AggregateCache())


@pytest.mark.parametrize("cached", [False, True])
async def test_a_handler_that_raises_harms_neither_other_commands_nor_its_aggregate(
    defective: CommandHandling, store: MemoryEventStore, cached: bool
) -> None:
    if cached:
        await defective.handle([envelope(place("o-1"))])
    handled = await defective.handle(
        [
            *([] if cached else [envelope(place("o-1"))]),
            envelope(ChangeLine(order_id="o-1", line_id="1", quantity=2)),
            envelope(ConfirmOrder(order_id="o-1")),
            envelope(ChangeLine(order_id="o-1", line_id="1", quantity=3)),
            envelope(place("o-2")),
        ]
    )
    assert shown(handled)[-4:] == ["v2", "INTERNAL", "v3", "v1"]
    assert "ZeroDivision" not in str(handled.outcomes)
    assert await store.position() == 4


class _Drifting(Order):
    """An order that is refused its confirmation for a reason that no contract declares."""

    name = "Order"

    @handles
    def confirm(self, command: ConfirmOrder) -> OrderConfirmed:
        self.reject("ORDER_STALE", "order {id} is stale")


async def test_an_undeclared_reason_is_answered_and_kept_and_reported_once(
    store: MemoryEventStore, caplog: pytest.LogCaptureFixture
) -> None:
    drifting = dataclasses.replace(orders, aggregates=[_Drifting]).bind(Registry.load())
    reported: list[tuple[str, str]] = []
    handling = CommandHandling(
        drifting, store, AggregateCache(), undeclared=lambda *rejection: reported.append(rejection)
    )
    confirm = envelope(ConfirmOrder(order_id="o-1"))
    handled = await handling.handle([envelope(place("o-1")), confirm, envelope(place("o-1"))])
    assert shown(handled) == ["v1", "ORDER_STALE", "ORDER_ALREADY_PLACED"]
    assert handled.outcomes[1].failure.kind == FailureKind.FAILURE_KIND_REJECTED
    assert shown(await handling.handle([confirm])) == ["ORDER_STALE*"]
    assert reported == [("orders.v1.ConfirmOrder", "ORDER_STALE")]
    (error,) = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert error == (
        "Order rejected orders.v1.ConfirmOrder with ORDER_STALE, which its contract does not declare: "
        "add it to `rejects` in orders/v1/commands.proto"
    )


async def test_text_that_the_store_cannot_keep_fails_alone(handling: CommandHandling) -> None:
    poisoned = envelope(place("o-2"))
    poisoned.correlation_id = "a\x00b"
    handled = await handling.handle([envelope(place("o-1")), poisoned, envelope(place("o-3"))])
    assert shown(handled) == ["v1", "NOT_STORABLE", "v1"]


async def test_a_long_stream_is_loaded_from_its_snapshot(
    context: BoundContext, store: MemoryEventStore
) -> None:
    handling = CommandHandling(context, store, AggregateCache())
    await handling.handle([envelope(place("o-1"))])
    for quantity in range(2, 252):
        await handling.handle([envelope(ChangeLine(order_id="o-1", line_id="1", quantity=quantity))])
    key = StreamKey("acme", "Order", "o-1")
    loaded = (await store.load([key], [])).streams[key]
    assert loaded.snapshot is not None
    assert loaded.snapshot.version == 200
    assert len(loaded.events) == 51
    cold = CommandHandling(context, store, AggregateCache())
    assert shown(await cold.handle([envelope(ConfirmOrder(order_id="o-1"))])) == ["v252"]
