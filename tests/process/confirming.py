"""A saga that only confirms its order; its sandbox loads this module alone."""

from __future__ import annotations

from intent.model import Saga
from intent_contracts.orders.v1 import CheckoutStarted, ConfirmOrder


class FulfilOrder(Saga):
    async def run(self, started: CheckoutStarted) -> None:
        await self.execute(ConfirmOrder(order_id=self.correlation))
