"""A payment that is not in the log has nothing done: the provider is never called for a forged event."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest_asyncio
from intent.dev.services import Postgres, TemporalServer
from intent.temporal import names
from intent.temporal.signing import MAC_INVALID, MAC_MISSING
from intent_contracts.intent.v1 import CancelSagaRequest, SagaInput
from intent_contracts.payments.v1 import (
    ChargeAction,
    ChargeCall,
)
from temporalio.client import WorkflowExecutionStatus
from temporalio.common import RawValue

from .forged_shop import EUROS, QUEUE, SAGA, Shop, forged, saga_of, site


@pytest_asyncio.fixture
async def shop(postgres: Postgres, temporal: TemporalServer, tmp_path: Path) -> AsyncIterator[Shop]:
    async with site(postgres, temporal, tmp_path) as here, here.shop() as running:
        yield running


async def test_a_forged_event_has_nothing_held(shop: Shop) -> None:
    payment = uuid4().hex
    given = SagaInput(events=[forged(payment)])
    assert await shop.forger.started(SAGA, QUEUE, given, saga_of(payment)) == MAC_MISSING
    assert shop.provider.calls == []
    # The genuine event starts the saga all the same.
    await shop.authorize(payment)
    await shop.calls(1)


async def test_forged_signals_are_dropped(shop: Shop) -> None:
    payment = uuid4().hex
    saga = await shop.forger.client.start_workflow(
        SAGA,
        id=saga_of(payment),
        task_queue=QUEUE,
        start_signal=names.SAGA_SIGNAL,
        start_signal_args=[forged(payment)],
    )
    await saga.signal(names.SAGA_CANCEL, CancelSagaRequest(id=saga.id, reason="because"))
    # It has looked at both, and still waits for an event that starts it.
    await saga.query(names.SAGA_REPORT)
    assert shop.provider.calls == []
    await shop.authorize(payment)
    await shop.calls(1)
    await saga.result()
    assert (await saga.describe()).status == WorkflowExecutionStatus.COMPLETED


async def test_a_genuine_event_starts_no_other_saga(shop: Shop) -> None:
    payment, other = uuid4().hex, uuid4().hex
    await shop.authorize(payment)
    await shop.calls(1)
    genuine = RawValue(await shop.forger.input_of(saga_of(payment)))
    assert await shop.forger.started(SAGA, QUEUE, genuine, saga_of(other)) == MAC_INVALID
    await shop.calls(1)


async def test_nobody_else_calls_a_port(shop: Shop) -> None:
    call = ChargeCall(action=ChargeAction.CHARGE_ACTION_AUTHORIZE, idempotency_key="k", amount=EUROS)
    said = await shop.forger.called(QUEUE, names.port_activity("payments", "charge"), call)
    assert said == MAC_MISSING
    assert shop.provider.calls == []
