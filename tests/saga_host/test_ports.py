"""Calls of ports as activities, and events that concern no saga."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from uuid import UUID

from intent.contracts import Registry
from intent.model import load_context
from intent.records import LogEntry
from intent.saga_host import EventDelivery
from intent.saga_host.worker import activity_of
from intent.sagas import Port
from intent_contracts.payments.v1 import ChargeAnswer, ChargeCall, PaymentVoided
from temporalio.testing import ActivityEnvironment

CHARGE = Port("charge", ChargeCall, ChargeAnswer)


async def test_a_call_that_takes_long_sends_heartbeats() -> None:
    heartbeat = asyncio.Event()

    async def slow(call: ChargeCall) -> ChargeAnswer:
        await heartbeat.wait()
        return ChargeAnswer(code=call.idempotency_key)

    environment = ActivityEnvironment()
    environment.on_heartbeat = lambda *_: heartbeat.set()
    activity = activity_of("payments", CHARGE.served_by(slow))
    called = environment.run(activity, ChargeCall(idempotency_key="k"))
    assert await asyncio.wait_for(called, 60) == ChargeAnswer(code="k")


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
