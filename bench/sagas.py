"""The measured saga: four commands in four contexts, one after the other."""

from __future__ import annotations

from intent.sagas import Saga
from intent_contracts.orders.v1 import CheckoutStarted
from orders.fulfilment import Fulfilment

MEASURED = "orders.v1.FulfilOrder"
"""The saga type that it replaces."""


class FulfilOrder(Saga):
    """Saga with the commands from an order to its parcel, without the external partners."""

    async def run(self, started: CheckoutStarted) -> None:
        order = Fulfilment(self.correlation, started)
        await self.execute(order.reserve(), compensate=order.release())
        await self.execute(order.authorize(), compensate=order.cancel_payment())
        await self.execute(order.confirm())
        await self.execute(order.arrange(), compensate=order.cancel_parcel())
