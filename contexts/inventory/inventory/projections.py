"""The read model: the stock list, a row for each article in each warehouse."""

from __future__ import annotations

from intent.model import EventMetadata, Projection, projects
from intent_contracts.inventory.v1 import (
    LowStockLevelSet,
    StockItem,
    StockReceived,
    StockReleased,
    StockReserved,
    StockShippedOut,
)

from inventory.stock import is_low, quantities_of

__all__ = ["StockItems"]

Moved = StockReceived | StockReserved | StockReleased | StockShippedOut


def _articles(event: Moved, meta: EventMetadata) -> list[tuple[str, str]]:
    return [(meta.aggregate_id, sku) for sku in quantities_of(event.lines)]


def _article(event: LowStockLevelSet, meta: EventMetadata) -> tuple[str, str]:
    return meta.aggregate_id, event.sku


class StockItems(Projection[StockItem]):
    """Shows how many of an article are in stock, reserved and available. An article stays listed at 0."""

    def after(self, item: StockItem, meta: EventMetadata) -> None:
        """Compute what follows from the other fields."""
        item.available = item.on_hand - item.reserved
        item.low = is_low(item.available, item.low_level)

    @projects(key=_articles)
    def received(self, item: StockItem, event: StockReceived) -> None:
        _move(item, event, on_hand=1)

    @projects(key=_articles)
    def reserved(self, item: StockItem, event: StockReserved) -> None:
        _move(item, event, reserved=1)

    @projects(key=_articles)
    def released(self, item: StockItem, event: StockReleased) -> None:
        _move(item, event, reserved=-1)

    @projects(key=_articles)
    def shipped_out(self, item: StockItem, event: StockShippedOut) -> None:
        _move(item, event, on_hand=-1, reserved=-1)

    @projects(key=_article)
    def low_level_set(self, item: StockItem, event: LowStockLevelSet) -> None:
        item.low_level = event.level


def _move(item: StockItem, event: Moved, on_hand: int = 0, reserved: int = 0) -> None:
    quantity = sum(line.quantity for line in event.lines if line.sku == item.sku)
    item.on_hand += on_hand * quantity
    item.reserved += reserved * quantity
