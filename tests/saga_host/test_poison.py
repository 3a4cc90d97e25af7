"""Saga code that raises anything at all holds up its own saga; the others of its worker go on."""

from __future__ import annotations

import asyncio

from intent_contracts.intent.v1 import SagaStatus
from intent_contracts.orders.v1 import CheckoutStarted
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowExecutionStatus

from tests.saga_host.harmful_saga import KINDS, FulfilOrder

from .scripted_contexts import Contexts, Handle, correlation

COMPLETED = SagaStatus.SAGA_STATUS_COMPLETED


async def test_its_neighbours_complete(contexts: Contexts) -> None:
    await contexts.run(FulfilOrder)
    harmful = {
        kind: await contexts.deliver(correlation(), CheckoutStarted(customer_id=kind)) for kind in KINDS
    }
    async with asyncio.timeout(60):
        for _ in range(4):
            sound = await contexts.deliver(correlation(), CheckoutStarted(customer_id="ann"))
            assert (await sound.result()).status == COMPLETED
        for handle in harmful.values():
            assert EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED in await _events_until_failed(handle)
            await handle.terminate()
    assert contexts.commands == ["ConfirmOrder"] * 4


async def _events_until_failed(handle: Handle) -> set[EventType.ValueType]:
    """Return the types of events of a saga, once its code has failed or it has ended."""
    while True:
        types = {event.event_type async for event in handle.fetch_history_events()}
        ended = (await handle.describe()).status is not WorkflowExecutionStatus.RUNNING
        if ended or EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED in types:
            assert not ended, types
            return types
        await asyncio.sleep(0.5)
