"""Calls of ports as activities, and events that concern no saga."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from intent.contracts import Registry
from intent.model import load_context
from intent.records import LogEntry
from intent.saga_host import EventDelivery
from intent.saga_host.ports import AdapterThreads, activity_of
from intent.sagas import Adapter, Port
from intent_contracts.payments.v1 import ChargeAnswer, ChargeCall, PaymentVoided
from temporalio.activity import ActivityCancellationDetails
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

CHARGE = Port("charge", ChargeCall, ChargeAnswer)


class Slow:
    """An adapter that answers when a test says so; it awaits, blocks, or swallows its cancellation."""

    def __init__(self) -> None:
        self.started = threading.Event()
        self.released = threading.Event()
        self.cancelled = threading.Event()

    async def wait(self, call: ChargeCall) -> ChargeAnswer:
        self.started.set()
        await asyncio.to_thread(self.released.wait)
        return ChargeAnswer(code=call.idempotency_key)

    async def block(self, call: ChargeCall) -> ChargeAnswer:
        self.started.set()
        self.released.wait()
        return ChargeAnswer(code=call.idempotency_key)

    async def swallow(self, call: ChargeCall) -> ChargeAnswer:
        self.started.set()
        while not self.released.is_set():
            try:
                await asyncio.to_thread(self.released.wait)
            except asyncio.CancelledError:
                self.cancelled.set()
        return ChargeAnswer(code=call.idempotency_key)


@pytest.fixture
def slow() -> Iterator[Slow]:
    adapter = Slow()
    yield adapter
    adapter.released.set()


def called(
    environment: ActivityEnvironment, adapter: Adapter, threads: AdapterThreads | None = None
) -> asyncio.Task[ChargeAnswer]:
    """Start a call of an adapter as an activity."""
    thread = (threads or AdapterThreads()).of(adapter)
    activity = activity_of("payments", adapter, thread)
    return asyncio.ensure_future(environment.run(activity, ChargeCall(idempotency_key="k")))


async def test_a_call_that_takes_long_sends_heartbeats(slow: Slow) -> None:
    environment = ActivityEnvironment()
    environment.on_heartbeat = lambda *_: slow.released.set()
    answer = called(environment, CHARGE.served_by(slow.wait))
    assert await asyncio.wait_for(answer, 60) == ChargeAnswer(code="k")


async def test_an_adapter_that_blocks_holds_up_itself_alone(slow: Slow) -> None:
    threads, environment, other = AdapterThreads(), ActivityEnvironment(), Slow()
    impatient = dataclasses.replace(CHARGE, timeout=timedelta(seconds=0.2))
    blocked = called(environment, impatient.served_by(slow.block), threads)
    other.released.set()
    async with asyncio.timeout(60):
        assert await called(environment, CHARGE.served_by(other.wait), threads) == ChargeAnswer(code="k")
        with pytest.raises(ApplicationError) as failed:
            await blocked
    assert failed.value.type == "ADAPTER_BLOCKS"
    assert "gave no answer within 0.2 s: its thread is blocked at" in failed.value.message
    assert failed.value.message.endswith("in block")


async def test_an_adapter_that_takes_too_long_is_cancelled(slow: Slow) -> None:
    impatient = dataclasses.replace(CHARGE, timeout=timedelta(seconds=0.2))
    async with asyncio.timeout(60):
        with pytest.raises(ApplicationError, match=r"gave no answer within 0\.2 s$"):
            await called(ActivityEnvironment(), impatient.served_by(slow.swallow))
        assert await asyncio.to_thread(slow.cancelled.wait, 10)


@pytest.mark.parametrize("way", ["block", "swallow"])
async def test_the_end_of_a_process_waits_for_no_adapter(slow: Slow, way: str) -> None:
    environment = ActivityEnvironment()
    call = called(environment, CHARGE.served_by(getattr(slow, way)))
    await asyncio.to_thread(slow.started.wait)
    environment.cancel(ActivityCancellationDetails(worker_shutdown=True))
    with pytest.raises(ApplicationError, match="its process ended"):
        await asyncio.wait_for(call, 60)


async def test_a_cancelled_saga_still_takes_the_answer_of_the_attempt_under_way(slow: Slow) -> None:
    environment = ActivityEnvironment()
    call = called(environment, CHARGE.served_by(slow.wait))
    await asyncio.to_thread(slow.started.wait)
    environment.cancel(ActivityCancellationDetails(cancel_requested=True))
    await asyncio.sleep(0)
    slow.released.set()
    assert await asyncio.wait_for(call, 60) == ChargeAnswer(code="k")


async def test_adapters_of_one_object_share_a_thread_and_those_of_others_do_not() -> None:
    threads, one, two = AdapterThreads(), Slow(), Slow()
    wait, block = CHARGE.served_by(one.wait), CHARGE.served_by(one.block)
    assert threads.of(wait) is threads.of(block)
    assert threads.of(wait) is not threads.of(CHARGE.served_by(two.wait))


async def test_an_event_without_a_correlation_is_delivered_to_no_saga() -> None:
    unasked = PaymentVoided(reason="cancelled before it was asked for")
    entry = LogEntry(
        position=1,
        tenant="acme",
        aggregate_type="Payment",
        aggregate_id="p-1",
        version=1,
        event_id=UUID(int=1),
        type=unasked.DESCRIPTOR.full_name,
        schema_version=1,
        data=unasked.SerializeToString(),
        command_id=UUID(int=2),
        correlation_id="story",
        causation_id="",
        actor="user:test",
        traceparent="",
        recorded_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    payments = load_context("payments").bind(Registry.load())
    no_client = None  # It is asked nothing.
    assert await EventDelivery(payments, no_client).deliver([entry]) == 0  # type: ignore[arg-type]
