"""The read models: one order in full, and the order list."""

from __future__ import annotations

from intent.projections.projection import EventMetadata, Projection, projects
from intent_contracts.orders.v1 import (
    LineChanged,
    OrderCancelled,
    OrderConfirmed,
    OrderPlaced,
    OrderSummary,
    OrderView,
)

from orders.values import CANCELLED, CONFIRMED, OPEN, set_quantity

__all__ = ["OrderSummaries", "OrderViews"]


class OrderViews(Projection[OrderView]):
    """Shows one order in full."""

    @projects
    def placed(self, view: OrderView, event: OrderPlaced, meta: EventMetadata) -> None:
        """Begins the view."""
        view.customer_id = event.customer_id
        view.status = OPEN
        view.lines.extend(event.lines)
        view.total.CopyFrom(event.total)
        meta.stamp(view.placed_at)
        _changed(view, meta)

    @projects
    def line_changed(self, view: OrderView, event: LineChanged, meta: EventMetadata) -> None:
        """Sets the line, or drops it."""
        set_quantity(view.lines, event.line_id, event.quantity)
        view.total.CopyFrom(event.total)
        _changed(view, meta)

    @projects
    def confirmed(self, view: OrderView, event: OrderConfirmed, meta: EventMetadata) -> None:
        """Shows it as confirmed."""
        view.status = CONFIRMED
        _changed(view, meta)

    @projects
    def cancelled(self, view: OrderView, event: OrderCancelled, meta: EventMetadata) -> None:
        """Shows it as cancelled, and why."""
        view.status = CANCELLED
        view.cancel_reason = event.reason
        _changed(view, meta)


def _changed(view: OrderView, meta: EventMetadata) -> None:
    meta.stamp(view.changed_at)
    view.version = meta.version


class OrderSummaries(Projection[OrderSummary]):
    """Lists orders, to page through and to filter by customer and status."""

    @projects
    def placed(self, row: OrderSummary, event: OrderPlaced, meta: EventMetadata) -> None:
        """Begins the row."""
        row.customer_id = event.customer_id
        row.status = OPEN
        row.line_count = len(event.lines)
        row.total.CopyFrom(event.total)
        meta.stamp(row.placed_at)

    @projects
    def line_changed(self, row: OrderSummary, event: LineChanged) -> None:
        """Keeps the sum and the number of lines right."""
        row.line_count -= event.quantity == 0
        row.total.CopyFrom(event.total)

    @projects
    def confirmed(self, row: OrderSummary, event: OrderConfirmed) -> None:
        """Lists it as confirmed."""
        row.status = CONFIRMED

    @projects
    def cancelled(self, row: OrderSummary, event: OrderCancelled) -> None:
        """Lists it as cancelled."""
        row.status = CANCELLED
