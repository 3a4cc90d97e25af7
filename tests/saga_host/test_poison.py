"""Saga code that raises anything at all, or ends its process, holds up its own saga; the others go on."""

from __future__ import annotations

import asyncio
from unittest.mock import Mock

from intent.guarding import Doubts, Guard, UnderWay, Watch
from intent.temporal import names
from intent_contracts.intent.v1 import SagaStatus
from intent_contracts.orders.v1 import CheckoutStarted
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowExecutionStatus

from tests.saga_host.harmful_saga import KINDS, FulfilOrder

from ..support.harm import MemoryDoubts
from .scripted_contexts import TYPE, Contexts, Handle, correlation

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


class _Noting(Guard):
    """Keeps the notes of what is under way."""

    def __init__(self, doubts: Doubts) -> None:
        super().__init__(doubts=doubts)
        self.notes: list[bytes] = []

    def thread_watch(self) -> Watch:
        watch = super().thread_watch()

        def enter(note: bytes) -> None:
            self.notes.append(note)
            watch.enter(note)

        noting = Mock(wraps=watch)
        noting.enter.side_effect = enter
        return noting


async def test_one_that_processes_died_of_is_not_tried_again(contexts: Contexts) -> None:
    doubts, deadly, suspected = Doubts(MemoryDoubts()), correlation(), correlation()
    pieces = {
        name: UnderWay("saga", TYPE, "", names.saga_workflow_id(TYPE, "acme", name))
        for name in (deadly, suspected)
    }
    await doubts.lost([pieces[deadly].note] * 3 + [pieces[suspected].note] * 2)
    guard = _Noting(doubts)
    await contexts.run(FulfilOrder, guard=guard)
    async with asyncio.timeout(60):
        harmful = await contexts.deliver(deadly, CheckoutStarted(customer_id="ann"))
        sound = await contexts.deliver(suspected, CheckoutStarted(customer_id="ann"))
        assert (await sound.result()).status == COMPLETED
        await _events_until_failed(harmful)
    assert contexts.commands == ["ConfirmOrder"]
    assert set(guard.notes) >= {pieces[suspected].note}
    assert doubts.condemned(pieces[deadly])
    assert not doubts.losses(pieces[suspected]), "it was completed after all"
    await harmful.terminate()
