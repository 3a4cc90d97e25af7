"""What was rejected is decided anew when an operator replays its event, and what took effect is not."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from google.protobuf.message import Message
from intent.client import IntentClient
from intent.errors import CommandIdReused, InvalidCommand, Rejected
from intent.model import EventMetadata, IntendedCommand, command_id_of, consumes
from intent_contracts.intent.v1 import ParkedEvent
from intent_contracts.orders.v1 import OrderPlaced
from intent_contracts.shipping.v1 import NoteOrder, NoteOrderStatus

from .cluster import NAME, Cluster, Process, until
from .test_runner import NoteOrders, Sent, running


class Shipping(Sent):
    """A context that records its answers under the ids of commands, and rejects while it must."""

    def __init__(self) -> None:
        super().__init__()
        self.rejecting = True
        self.recorded: dict[UUID, tuple[Message, bool]] = {}
        self.effects: list[Message] = []
        self.answer = self._decide

    def _decide(self, intended: IntendedCommand) -> None:
        command, command_id = intended.command, intended.origin.command_id
        known = self.recorded.get(command_id)
        if known is not None and known[0] != command:
            recorded = {"recorded": "rejection"} if known[1] else {}
            raise CommandIdReused("COMMAND_ID_REUSED", "other contents", metadata=recorded)
        rejected = known[1] if known else self.rejecting and isinstance(command, NoteOrderStatus)
        self.recorded[command_id] = command, rejected
        if rejected:
            raise Rejected("ORDER_UNKNOWN", "the order is unknown", duplicate=known is not None)
        if known is None:
            self.effects.append(command)


async def parked_once(client: IntentClient) -> ParkedEvent:
    found: list[ParkedEvent] = []

    async def is_parked() -> bool:
        found[:] = (await client.consumers.parked()).parked
        return len(found) == 1

    await until(is_parked)
    return found[0]


async def test_a_rejected_command_is_decided_anew_when_its_event_is_replayed(
    cluster: Cluster, process: Process
) -> None:
    await cluster.record("o-1", OrderPlaced(customer_id="ann"))
    sent, client = Shipping(), process.client()
    async with running(client, NoteOrders(), sent) as runner:
        event = await parked_once(client)
        assert (event.attempts, event.error) == (1, "ORDER_UNKNOWN: the order is unknown"), "not retried"
        assert runner.figures.failures == 1
        await client.consumers.replay(NAME, "Order", "o-1")

        async def failed_again() -> bool:
            return runner.figures.failures == 2

        await until(failed_again)
        assert (await parked_once(client)).attempts == 1
        sent.rejecting = False
        await client.consumers.replay(NAME, "Order", "o-1")
        await sent.has(4)
        await cluster.record("o-1")
        await sent.has(5)
    placed = NoteOrderStatus(order_id="o-1", status="placed")
    confirmed = NoteOrderStatus(order_id="o-1", status="confirmed")
    assert sent.effects == [NoteOrder(order_id="o-1", customer_id="ann"), placed, confirmed]
    rejected = [command_id for command_id, (_, rejected) in sent.recorded.items() if rejected]
    base = command_id_of(NAME, event.event.event_id, "2")
    assert rejected == [base, command_id_of(NAME, event.event.event_id, "2", replay=1)]


async def test_a_command_that_is_fixed_before_a_replay_is_decided_in_place_of_the_rejected_one(
    cluster: Cluster, process: Process
) -> None:
    class Fixed(NoteOrders):
        @consumes
        def placed(self, event: OrderPlaced, meta: EventMetadata) -> Sequence[Message]:
            note = NoteOrder(order_id=meta.aggregate_id, customer_id=event.customer_id)
            return [note, NoteOrderStatus(order_id=meta.aggregate_id, status="fixed")]

    await cluster.record("o-1", OrderPlaced(customer_id="ann"))
    sent, client = Shipping(), process.client()
    async with running(client, NoteOrders(), sent):
        await parked_once(client)
    sent.rejecting = False
    await client.consumers.replay(NAME, "Order", "o-1")
    async with running(client, Fixed(), sent):
        await sent.has(3)
    assert sent.effects[1:] == [NoteOrderStatus(order_id="o-1", status="fixed")]


async def test_a_command_that_took_effect_is_not_sent_in_another_form_by_a_replay(
    cluster: Cluster, process: Process
) -> None:
    class Changed(NoteOrders):
        @consumes
        def placed(self, event: OrderPlaced, meta: EventMetadata) -> Sequence[Message]:
            return [NoteOrder(order_id=meta.aggregate_id, customer_id="bob")]

    await cluster.record("o-1", OrderPlaced(customer_id="ann"))
    sent, client = Shipping(), process.client()
    async with running(client, NoteOrders(), sent):
        await parked_once(client)
    await client.consumers.replay(NAME, "Order", "o-1")
    async with running(client, Changed(), sent):
        assert "COMMAND_ID_REUSED" in (await parked_once(client)).error
    assert sent.effects == [NoteOrder(order_id="o-1", customer_id="ann")]


async def test_a_message_that_breaks_its_contract_is_parked_at_once(
    cluster: Cluster, process: Process
) -> None:
    def refuse(intended: IntendedCommand) -> None:
        raise InvalidCommand("INVALID", "an id is missing")

    await cluster.record("o-1")
    sent, client = Sent(), process.client()
    sent.answer = refuse
    async with running(client, NoteOrders(), sent):
        assert (await parked_once(client)).attempts == 1
