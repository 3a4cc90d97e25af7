"""The declaration of the orders context: all that the platform needs to run it."""

from __future__ import annotations

from intent.model import Context

from orders.aggregates import Order
from orders.projections import OrderSummaries, OrderViews
from orders.queries import OrderQueries
from orders.sagas import FulfilOrder
from orders.upcasters import with_currency

__all__ = ["context"]

context = Context(
    "orders",
    aggregates=[Order],
    projections=[OrderViews, OrderSummaries],
    sagas=[FulfilOrder],
    queries=OrderQueries,
    upcasters=[with_currency],
)
