"""What shipping knows of orders, which it consumes."""

from __future__ import annotations

from intent.client import IntentClient
from intent.errors import NotFound
from intent_contracts.shipping.v1 import GetKnownOrder, KnownOrder

from ..consumers.cluster import until


async def known_order(warehouse: IntentClient, order_id: str) -> KnownOrder:
    """Wait until shipping knows an order."""

    async def found() -> KnownOrder | None:
        try:
            return await warehouse.query(GetKnownOrder(order_id=order_id), KnownOrder)
        except NotFound:
            return None

    order: KnownOrder = await until(found)
    return order
