"""The queries about stock."""

from __future__ import annotations

from intent.model import Queries, answers
from intent_contracts.inventory.v1 import GetStock, ListStock, StockItem, StockList

__all__ = ["StockQueries"]


class StockQueries(Queries):
    """The queries of the context."""

    @answers
    async def get_stock(self, query: GetStock) -> StockItem:
        return await self.get(StockItem, query.warehouse_id, query.sku)

    @answers
    async def list_stock(self, query: ListStock) -> StockList:
        page = await self.list(
            StockItem,
            where={"warehouse_id": query.warehouse_id, "sku": query.sku, "low": query.low or None},
            page_size=query.page_size,
            page_token=query.page_token,
        )
        return StockList(items=page.rows, next_page_token=page.next_page_token)
