"""The declaration of the inventory context: all that the platform needs to run it."""

from __future__ import annotations

from intent.model import Context

from inventory.aggregates import Warehouse
from inventory.projections import StockItems
from inventory.queries import StockQueries

__all__ = ["context"]

context = Context("inventory", aggregates=[Warehouse], projections=[StockItems], queries=StockQueries)
