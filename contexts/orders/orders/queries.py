"""The queries about orders."""

from __future__ import annotations

from intent.model import Queries, answers
from intent_contracts.orders.v1 import GetOrder, ListOrders, OrderList, OrderSummary, OrderView

__all__ = ["OrderQueries"]


class OrderQueries(Queries):
    """The queries of the context."""

    @answers
    async def get_order(self, query: GetOrder) -> OrderView:
        return await self.get(OrderView, query.order_id)

    @answers
    async def list_orders(self, query: ListOrders) -> OrderList:
        page = await self.list(
            OrderSummary,
            where={"customer_id": query.customer_id, "status": query.status},
            page_size=query.page_size,
            page_token=query.page_token,
        )
        return OrderList(orders=page.rows, next_page_token=page.next_page_token)
