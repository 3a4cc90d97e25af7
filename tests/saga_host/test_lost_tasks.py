"""Code that runs again after the loss of a process sends what it had sent, whatever has arrived since.

Commands go by local activities, which Temporal forgets with a task that is lost. A command that was
sent, and that the saga did not send when it ran again, would have an effect that nobody undoes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st
from intent.contracts import Registry
from intent.sagas import Port, Saga, SagaIdentity, SagaRun
from intent.sagas.host import NEVER
from intent_contracts.intent.v1 import (
    ChildStart,
    CommandEnvelope,
    CommandOutcome,
    CommandResult,
    Failure,
    FailureKind,
    RecordedEvent,
    SagaInput,
    SagaReport,
    SagaStatus,
)
from intent_contracts.orders.v1 import CancellationRequested, CheckoutStarted, OrderCancelled
from intent_contracts.payments.v1 import PaymentAuthorized, PaymentCaptured, PaymentDeclined, PaymentVoided
from intent_contracts.shipping.v1 import ParcelCancelled, ParcelDelivered, ParcelHandedOver, ParcelReturned
from orders.sagas import FulfilOrder

from ..sagas.saga_examples import CHECKOUT, Forgiving, Interruptible, Plain, SideBySide

CONTRACT = Registry.load().sagas["orders.v1.FulfilOrder"]
OPERATOR = RecordedEvent(type="an operator cancels")
START = datetime(2026, 1, 1, tzinfo=UTC)
_TURNS = 60

EVENTS: list[Message] = [
    OrderCancelled(reason="changed my mind"),
    CancellationRequested(reason="changed my mind"),
    PaymentAuthorized(),
    PaymentCaptured(),
    PaymentDeclined(decline_code="CARD_EXPIRED"),
    PaymentVoided(),
    ParcelHandedOver(),
    ParcelCancelled(),
    ParcelDelivered(),
    ParcelReturned(),
]
REJECTED = st.sets(st.sampled_from(CONTRACT.sends), max_size=2)


def recorded(event: Message, number: int) -> RecordedEvent:
    return RecordedEvent(
        event_id=f"e-{number}", type=event.DESCRIPTOR.full_name, data=event.SerializeToString()
    )


class Host:
    """Answers commands at once, by their type; its timers fire when a test says so."""

    def __init__(self, rejected: Collection[str], *, keeps: bool = True) -> None:
        self.sent: dict[str, bytes] = {}
        self.time = START
        self._rejected = rejected
        self._keeps = keeps
        self._waits: list[tuple[Callable[[], bool], datetime | None, asyncio.Future[bool]]] = []

    @property
    def full(self) -> bool:
        return False

    @property
    def park_after(self) -> timedelta:
        return NEVER

    def now(self) -> datetime:
        return self.time

    def changed(self, change: str) -> bool:
        return True

    def follows(self, change: str, since: int = 1) -> bool:
        return True

    async def send_once(self, envelope: CommandEnvelope) -> CommandOutcome:
        known = self.sent.setdefault(envelope.command_id, envelope.type.encode() + envelope.data)
        assert known == envelope.type.encode() + envelope.data
        await asyncio.sleep(0)
        outcome = CommandOutcome(command_id=envelope.command_id)
        if envelope.type in self._rejected:
            kind = FailureKind.FAILURE_KIND_REJECTED
            outcome.failure.CopyFrom(Failure(kind=kind, reason="REFUSED", message=envelope.type))
        else:
            outcome.result.CopyFrom(CommandResult(command_id=envelope.command_id))
        return outcome

    async def send(self, envelope: CommandEnvelope, path: str) -> CommandOutcome:
        raise NotImplementedError

    async def call_once(self, port: Port[Any, Any], request: Message, path: str) -> Message:
        raise NotImplementedError

    async def call(self, port: Port[Any, Any], request: Message, path: str) -> Message:
        raise NotImplementedError

    def end_calls(self) -> None:
        raise NotImplementedError

    async def child(self, workflow_id: str, start: ChildStart) -> SagaReport:
        raise NotImplementedError

    async def cancel_child(self, workflow_id: str, reason: str) -> None:
        raise NotImplementedError

    async def wait(self, condition: Callable[[], bool], until: datetime | None) -> bool:
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waits.append((condition, until, done))
        return await done

    async def checkpoint(self) -> None:
        if not self._keeps:
            await asyncio.get_running_loop().create_future()

    def show(self, status: SagaStatus.ValueType, step: str) -> None:
        pass

    async def rest(self) -> None:
        """Wait until everything waits."""
        moved = True
        while moved:
            for _ in range(_TURNS):
                await asyncio.sleep(0)
            ready = [w for w in self._waits if w[0]() or (w[1] is not None and w[1] <= self.time)]
            self._waits = [wait for wait in self._waits if wait not in ready]
            for condition, _, done in ready:
                done.set_result(condition())
            moved = bool(ready)


def identity() -> SagaIdentity:
    return SagaIdentity(f"{CONTRACT.type}/acme/o-1", CONTRACT.sends)


def started_run(saga: type[Saga], host: Host) -> SagaRun:
    return SagaRun(saga, identity(), host, SagaInput())


async def sent(
    saga: type[Saga], events: Sequence[RecordedEvent], rejected: Collection[str]
) -> dict[str, bytes]:
    """Return the commands that a saga sends when these events are there from its start."""
    host = Host(rejected)
    run = started_run(saga, host)
    for event in events:
        if event is OPERATOR:
            run.cancel("by an operator")
        else:
            run.deliver(event)
    running = asyncio.create_task(run.run())
    await host.rest()
    if running.done():
        await running
    await ended()
    return host.sent


async def ended() -> None:
    """End the tasks of sagas that wait."""
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)


@pytest.mark.parametrize("saga", [FulfilOrder, Plain, Interruptible, Forgiving, SideBySide])
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_what_was_sent_is_sent_again_whatever_has_arrived_since(
    saga: type[Saga], data: st.DataObject
) -> None:
    order = data.draw(st.permutations([CHECKOUT, *EVENTS]))
    events = [recorded(event, number) for number, event in enumerate(order)]
    if data.draw(st.booleans()):
        events.insert(data.draw(st.integers(0, len(events))), OPERATOR)
    rejected = data.draw(REJECTED)

    async def run() -> None:
        before: dict[str, bytes] = {}
        for count in range(1, len(events) + 1):
            now = await sent(saga, events[:count], rejected)
            assert now.items() >= before.items(), f"after {events[count - 1].type}"
            before = now

    asyncio.run(run())


def test_what_follows_a_time_out_is_done_when_the_time_out_is_kept() -> None:
    """An event that comes after it must not find it missing."""
    asyncio.run(_time_out())


async def _time_out() -> None:
    host = Host((), keeps=False)
    run = started_run(FulfilOrder, host)
    run.deliver(recorded(CheckoutStarted(), 1))
    running = asyncio.create_task(run.run())
    await host.rest()
    sent_so_far = dict(host.sent)
    assert len(sent_so_far) == 2
    host.time += timedelta(days=30)
    await host.rest()
    assert host.sent == sent_so_far
    running.cancel()


def test_a_new_run_knows_which_events_came_before_a_cancellation() -> None:
    asyncio.run(_interrupted_before_it_was_cancelled())


async def _interrupted_before_it_was_cancelled() -> None:
    host = Host(())
    first = started_run(Interruptible, host)
    first.deliver(recorded(CHECKOUT, 1))
    first.deliver(recorded(OrderCancelled(), 2))
    first.cancel("by an operator")
    second = SagaRun(Interruptible, identity(), host, first.onward())
    running = asyncio.create_task(second.run())
    await host.rest()
    report = await running
    assert report is not None
    assert report.failure_reason == "INTERRUPTED"
