"""What a denial rests on, what it costs, and who may decide it."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import uuid4

import pytest
from intent.commands import AggregateCache, CommandHandling
from intent.contracts import Registry
from intent.errors import NewerReleaseNeeded, UnknownType
from intent.model import BoundContext
from intent.records import CommandKey, StreamKey
from intent.store.event_store import AppendResult, Loaded, StreamAppend
from intent.store.memory import MemoryEventStore
from intent.temporal.attributes import COMMAND_TYPES, batch_attributes, batch_summary
from intent_contracts.intent.v1 import CommandEnvelope
from intent_contracts.orders.v1 import ChangeLine, ConfirmOrder, PlaceOrder
from orders.context import context as orders

from ..support.command_path import place
from .test_handling import shown
from .test_ownership import ANN, CANCEL, EVE, sent

REGISTRY = Registry.load()
CHANGE = ChangeLine(order_id="o-1", line_id="1", quantity=3)
WORKFLOW = "batch/orders/1"


class WatchedStore(MemoryEventStore):
    """Counts what is loaded, and lets another process be faster once."""

    def __init__(self) -> None:
        super().__init__()
        self.loads = 0
        self.faster: tuple[CommandHandling, CommandEnvelope] | None = None

    async def load(self, streams: Sequence[StreamKey], commands: Sequence[CommandKey]) -> Loaded:
        self.loads += 1
        return await super().load(streams, commands)

    async def append(self, streams: Sequence[StreamAppend]) -> AppendResult:
        if self.faster is not None:
            (elsewhere, command), self.faster = self.faster, None
            await elsewhere.handle([command])
        return await super().append(streams)


@pytest.fixture(scope="module")
def context() -> BoundContext:
    return orders.bind(REGISTRY)


@pytest.fixture
def store() -> WatchedStore:
    return WatchedStore()


@pytest.fixture
def handling(context: BoundContext, store: WatchedStore) -> CommandHandling:
    return CommandHandling(context, store, AggregateCache())


def of_eve() -> PlaceOrder:
    command = place("o-1")
    command.customer_id = "eve"
    return command


async def test_a_denial_leaves_the_aggregate_in_the_cache(
    handling: CommandHandling, store: WatchedStore
) -> None:
    await handling.handle([sent(place("o-1"))])
    before = store.loads
    for denied in ([sent(CANCEL, EVE)], [sent(CHANGE, expected=7)], [sent(CANCEL, EVE), sent(CANCEL, EVE)]):
        await handling.handle(denied)
    assert store.loads == before + 3, "a denial rests on a loaded copy"
    assert shown(await handling.handle([sent(CHANGE, ANN)])) == ["v2"]
    assert store.loads == before + 3


async def test_nobody_fills_the_cache_with_what_is_not_there(
    context: BoundContext, store: WatchedStore
) -> None:
    cache = AggregateCache()
    handling = CommandHandling(context, store, cache)
    assert shown(await handling.handle([sent(CANCEL, EVE)])) == ["NOT_THE_OWNER"]
    repeated = sent(place("o-1"))
    await CommandHandling(context, store, AggregateCache()).handle([repeated])
    assert shown(await handling.handle([repeated])) == ["v1*"]
    assert len(cache) == 0


@pytest.mark.parametrize("cached", [False, True])
async def test_a_denial_does_not_rest_on_what_the_append_refuses(
    context: BoundContext, handling: CommandHandling, store: WatchedStore, cached: bool
) -> None:
    elsewhere = CommandHandling(context, store, AggregateCache())
    if cached:
        await handling.handle([sent(ConfirmOrder(order_id="o-1"))])
    store.faster = elsewhere, sent(place("o-1"))
    batch = [sent(of_eve()), sent(CHANGE, expected=7), sent(CHANGE, ANN, expected=1), sent(CANCEL, ANN)]
    assert shown(await handling.handle(batch)) == ["ORDER_ALREADY_PLACED", "VERSION_CONFLICT", "v2", "v3"]


async def test_denials_between_commands_cost_no_rounds_of_their_own(
    handling: CommandHandling, store: WatchedStore
) -> None:
    batch = [sent(place("o-1"))]
    for _ in range(20):
        batch += [sent(CANCEL, EVE), sent(CHANGE, ANN)]
    before = store.loads
    changed = shown(await handling.handle(batch))
    assert changed[1::2] == ["NOT_THE_OWNER"] * 20
    assert changed[2::2] == ["v2"] * 20, "nothing changes from the second time on"
    assert store.loads <= before + 1


async def test_one_id_under_way_for_two_owners_is_asked_for_again(handling: CommandHandling) -> None:
    id_ = uuid4()
    await handling.handle([sent(place("o-1"))])
    both = [sent(CANCEL, owner, command_id=id_) for owner in (EVE, ANN)]
    handled = await handling.handle(both)
    assert shown(handled) == ["NOT_THE_OWNER", "COMMAND_UNDER_WAY"]
    assert handled.outcomes[1].failure.retry_after_ms
    assert shown(await handling.handle(both[1:])) == ["v2"]
    assert shown(await handling.handle(both)) == ["v2*", "COMMAND_UNDER_WAY"]


async def test_a_release_that_knows_no_owners_leaves_the_command_to_one_that_does(
    handling: CommandHandling, monkeypatch: pytest.MonkeyPatch
) -> None:
    await handling.handle([sent(place("o-1"))])
    # It does not have the field, and finds the contract by the whole type.
    theirs = CommandEnvelope.FromString(sent(CANCEL, EVE).SerializeToString())
    theirs.ClearField("owner")
    with pytest.raises(UnknownType):
        REGISTRY.command(theirs.type)
    with monkeypatch.context() as earlier:
        earlier.setattr("intent.commands.requests.command_type", lambda envelope: envelope.type)
        handled = await handling.handle([theirs, sent(CHANGE)], WORKFLOW)
        assert [bool(outcome.continued_in) for outcome in handled.outcomes] == [True, False]
        with pytest.raises(NewerReleaseNeeded):
            await handling.handle([theirs], WORKFLOW, apart=True)
    assert handled.outcomes[1].result.version == 2
    assert shown(await handling.handle([sent(CANCEL, EVE)])) == ["NOT_THE_OWNER"]


async def test_an_owner_that_was_lost_on_the_way_is_nobody(handling: CommandHandling) -> None:
    await handling.handle([sent(place("o-1"))])
    for owner in (ANN, EVE):
        lost = sent(CANCEL, owner)
        lost.ClearField("owner")
        assert shown(await handling.handle([lost])) == ["NOT_THE_OWNER"]


async def test_a_command_is_the_same_whoever_must_own_its_aggregate(handling: CommandHandling) -> None:
    await handling.handle([sent(place("o-1"))])
    own = sent(CHANGE, ANN)
    assert shown(await handling.handle([own])) == ["v2"]
    by_a_service = sent(CHANGE)
    by_a_service.command_id = own.command_id
    assert shown(await handling.handle([by_a_service])) == ["v2*"]
    assert batch_summary([own, by_a_service]) == "2 ChangeLine (acme)"
    assert batch_attributes("orders", [own])[COMMAND_TYPES] == ["ChangeLine"]
