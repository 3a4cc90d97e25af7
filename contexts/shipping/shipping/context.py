"""The declaration of the shipping context: all that the platform needs to run it."""

from __future__ import annotations

from intent.context import Context

from shipping.aggregates import OrderNote, Parcel
from shipping.projections import KnownOrders, ParcelViews
from shipping.queries import ShippingQueries

__all__ = ["context"]

context = Context(
    "shipping",
    aggregates=[Parcel, OrderNote],
    projections=[ParcelViews, KnownOrders],
    queries=ShippingQueries,
)
