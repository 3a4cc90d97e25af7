"""The queries about parcels, and about what shipping knows of orders."""

from __future__ import annotations

from intent.model import Queries, answers
from intent_contracts.shipping.v1 import (
    GetKnownOrder,
    GetParcel,
    KnownOrder,
    ListParcels,
    ParcelList,
    ParcelView,
)

__all__ = ["ShippingQueries"]


class ShippingQueries(Queries):
    """The queries of the context."""

    @answers
    async def get_parcel(self, query: GetParcel) -> ParcelView:
        return await self.get(ParcelView, query.parcel_id)

    @answers
    async def list_parcels(self, query: ListParcels) -> ParcelList:
        page = await self.list(
            ParcelView,
            where={"order_id": query.order_id, "status": query.status},
            page_size=query.page_size,
            page_token=query.page_token,
        )
        return ParcelList(parcels=page.rows, next_page_token=page.next_page_token)

    @answers
    async def get_known_order(self, query: GetKnownOrder) -> KnownOrder:
        return await self.get(KnownOrder, query.order_id)
