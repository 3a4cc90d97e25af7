"""A command for what is the sender's own is decided where the aggregate is its own, and says nothing else."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import pytest
from google.protobuf.message import Message
from intent.commands import AggregateCache, CommandHandling
from intent.commands.aggregates.new_guess import NewAggregateGuess
from intent.contracts import Owner, Registry
from intent.envelopes import command_envelope
from intent.errors import PermissionDenied, Unavailable
from intent.model import BoundContext
from intent.origin import Origin
from intent.process.assembly import CommandPath
from intent.records import CommandKey
from intent.store.memory import MemoryEventStore
from intent_contracts.intent.v1 import CommandEnvelope, CommandOutcome, CommandStatus, FailureKind
from intent_contracts.orders.v1 import CancelOrder, ChangeLine, ConfirmOrder
from orders.context import context as orders

from ..support.command_path import Requests, eventually, place
from .test_handling import shown

ANN = Owner("ann", ("customer_id",))
EVE = Owner("eve", ("customer_id",))
CANCEL = CancelOrder(order_id="o-1", reason="changed my mind")


def sent(
    command: Message,
    owner: Owner | None = None,
    *,
    command_id: UUID | None = None,
    expected: int | None = None,
) -> CommandEnvelope:
    """Return a command as the router sends it."""
    actor = f"user:{owner.subject}" if owner else "service:shop"
    return command_envelope(
        Origin("acme", command_id or uuid4(), "story", actor=actor),
        command.DESCRIPTOR.full_name,
        command.SerializeToString(deterministic=True),
        expected_version=expected,
        owner=owner,
    )


def told(outcome: CommandOutcome) -> bytes:
    """Return what a caller is told besides the id that it chose."""
    copy = CommandOutcome()
    copy.CopyFrom(outcome)
    copy.ClearField("command_id")
    return copy.SerializeToString(deterministic=True)


@pytest.fixture(scope="module")
def context() -> BoundContext:
    return orders.bind(Registry.load())


@pytest.fixture(params=["looks", "guesses"])
def guessing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a test also with every aggregate assumed to be new, rightly or not."""
    if request.param == "guesses":
        monkeypatch.setattr(NewAggregateGuess, "likely", lambda *_: True)


@pytest.fixture
def store() -> MemoryEventStore:
    return MemoryEventStore()


@pytest.fixture
def handling(context: BoundContext, store: MemoryEventStore, guessing: None) -> CommandHandling:
    return CommandHandling(context, store, AggregateCache())


async def test_the_owner_may_and_nobody_else(handling: CommandHandling, store: MemoryEventStore) -> None:
    handled = await handling.handle(
        [
            sent(place("o-1")),
            sent(CANCEL, EVE),
            sent(ChangeLine(order_id="o-1", line_id="1", quantity=3), ANN),
            sent(CANCEL, EVE),
            sent(CANCEL, ANN),
        ]
    )
    assert shown(handled) == ["v1", "NOT_THE_OWNER", "v2", "NOT_THE_OWNER", "v3"]
    denied = handled.outcomes[1].failure
    assert denied.kind == FailureKind.FAILURE_KIND_PERMISSION_DENIED
    assert denied.metadata["subject"] == "eve"
    assert "ann" not in str(denied)
    assert await store.position() == 3


async def test_what_is_not_there_is_denied_in_the_same_words(handling: CommandHandling) -> None:
    """Neither whether it exists, nor its version, nor its status can be told from the answer."""
    await handling.handle([sent(place("o-1")), sent(ConfirmOrder(order_id="o-1"))])
    missing = CancelOrder(order_id="o-2", reason="changed my mind")
    for batched in (True, False):
        commands = [
            sent(CANCEL, EVE),
            sent(CANCEL, EVE, expected=7),
            sent(CANCEL, EVE, expected=0),
            sent(missing, EVE),
            sent(missing, EVE, expected=7),
            sent(missing, EVE, expected=0),
        ]
        batches = [commands] if batched else [[command] for command in commands]
        outcomes = [outcome for batch in batches for outcome in (await handling.handle(batch)).outcomes]
        assert {outcome.failure.reason for outcome in outcomes} == {"NOT_THE_OWNER"}
        assert len({told(outcome) for outcome in outcomes}) == 1


async def test_a_denial_is_not_recorded_and_the_id_may_be_used_again(
    handling: CommandHandling, store: MemoryEventStore
) -> None:
    id_ = uuid4()
    await handling.handle([sent(place("o-1"))])
    denied = await handling.handle([sent(CANCEL, EVE, command_id=id_)])
    assert (shown(denied), list(denied.recorded)) == (["NOT_THE_OWNER"], [False])
    assert await store.command(CommandKey("acme", id_)) is None
    assert shown(await handling.handle([sent(CANCEL, ANN, command_id=id_)])) == ["v2"]
    assert shown(await handling.handle([sent(CANCEL, ANN, command_id=id_)])) == ["v2*"]


async def test_a_denial_never_rests_on_a_stale_copy(
    context: BoundContext, store: MemoryEventStore, guessing: None
) -> None:
    here, elsewhere = (CommandHandling(context, store, AggregateCache()) for _ in range(2))
    # This one remembers that there is no such order.
    assert shown(await here.handle([sent(CANCEL)])) == ["ORDER_NOT_FOUND"]
    await elsewhere.handle([sent(place("o-1"))])
    assert shown(await here.handle([sent(CANCEL, ANN)])) == ["v2"]


async def test_an_owner_that_is_none_owns_nothing(handling: CommandHandling) -> None:
    """As whoever may start workflows could send."""
    for owner in (Owner("", ("customer_id",)), Owner("ann", ()), Owner("ann", ("elsewhere",))):
        assert shown(await handling.handle([sent(CANCEL, owner)])) == ["NOT_THE_OWNER"]
    await handling.handle([sent(place("o-1"))])
    for owner in (Owner("", ("cancel_reason",)), Owner("ann", ()), Owner("ann", ("elsewhere",))):
        assert shown(await handling.handle([sent(CANCEL, owner)])) == ["NOT_THE_OWNER"]


async def test_what_an_earlier_release_has_accepted_is_decided(handling: CommandHandling) -> None:
    """It says nothing of owners, as commands of sagas and services do."""
    earlier = CommandEnvelope.FromString(sent(CANCEL).SerializeToString())
    assert not earlier.HasField("owner")
    assert shown(await handling.handle([sent(place("o-1")), earlier])) == ["v1", "v2"]


async def test_the_owner_travels_with_the_command(path: CommandPath, request_of: Requests) -> None:
    await path.router.handle(request_of(place("o-1")))
    with pytest.raises(PermissionDenied) as denied:
        await path.router.handle(request_of(CANCEL, owner=EVE))
    assert denied.value.reason == "NOT_THE_OWNER"
    submitted = await path.router.submit(request_of(CANCEL, owner=EVE))

    async def failed() -> bool:
        report = await path.router.outcome("acme", submitted.command_id, submitted.handle)
        return report.status == CommandStatus.COMMAND_STATUS_FAILED

    await eventually(failed)
    report = await path.router.outcome("acme", submitted.command_id, submitted.handle)
    assert report.outcome is not None
    assert report.outcome.failure.reason == "NOT_THE_OWNER"
    assert (await path.router.handle(request_of(CANCEL, owner=ANN))).version == 2


async def test_no_caller_joins_the_command_of_another_owner(path: CommandPath, request_of: Requests) -> None:
    await path.router.handle(request_of(place("o-1")))
    id_ = uuid4()
    requests = [request_of(CANCEL, owner=owner, command_id=id_) for owner in (ANN, EVE)]
    own, other = await asyncio.gather(*map(path.router.handle, requests), return_exceptions=True)
    assert not isinstance(own, BaseException)
    assert own.version == 2
    assert isinstance(other, Unavailable)
    assert other.reason == "COMMAND_UNDER_WAY"
