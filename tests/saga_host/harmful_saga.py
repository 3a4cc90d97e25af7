"""A saga whose code does to its worker what the name of the customer says."""

from __future__ import annotations

import asyncio

from intent.model import Saga
from intent_contracts.orders.v1 import CheckoutStarted, ConfirmOrder

RAISED: dict[str, type[BaseException]] = {
    error.__name__: error
    for error in (
        ValueError,
        SystemExit,
        KeyboardInterrupt,
        asyncio.CancelledError,
        GeneratorExit,
        MemoryError,
        RecursionError,
    )
}
KINDS = (*RAISED, "surrogate", "long")


class FulfilOrder(Saga):
    """Confirms an order, unless it does harm."""

    async def run(self, started: CheckoutStarted) -> None:
        _harm(started.customer_id)
        await self.execute(ConfirmOrder(order_id=self.correlation))


def _harm(kind: str) -> None:
    if kind in RAISED:
        raise RAISED[kind]
    if kind == "surrogate":
        raise ValueError("a lone surrogate: \ud800")
    if kind == "long":
        raise ValueError("a long story " * 500_000)
