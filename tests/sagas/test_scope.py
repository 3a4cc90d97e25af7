"""A saga that its host drops from memory is closed without noise, wherever that happens."""

from __future__ import annotations

import asyncio
from contextvars import copy_context

from intent.sagas.scope import Scope, entered, interruptible


async def _waiting() -> None:
    with entered(Scope()), interruptible(frozenset({"orders.v1.OrderCancelled"})):
        await asyncio.sleep(0)


def test_a_saga_may_be_closed_in_another_context_than_its_own() -> None:
    saga = _waiting()
    copy_context().run(saga.send, None)
    saga.close()
