"""Answers what may be asked about stock."""

from __future__ import annotations

from intent.model import Queries, answers
from intent_contracts.inventory.v1 import GetStock, ListStock, StockItem, StockList

__all__ = ["StockQueries"]


class StockQueries(Queries):
    """The queries of the context."""

    @answers
    async def get_stock(self, query: GetStock) -> StockItem:
        """Shows one article in one warehouse."""
        return await self.get(StockItem, query.warehouse_id, query.sku)

    @answers
    async def list_stock(self, query: ListStock) -> StockList:
        """Lists a page of articles, the newest first."""
        page = await self.list(
            StockItem,
            where={"warehouse_id": query.warehouse_id, "sku": query.sku, "low": query.low or None},
            page_size=query.page_size,
            page_token=query.page_token,
        )
        return StockList(items=page.rows, next_page_token=page.next_page_token)
