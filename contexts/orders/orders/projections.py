"""The read models: one order in full, and the order list."""

from __future__ import annotations

from intent.model import EventMetadata, Projection, follows, projects
from intent_contracts.orders.v1 import (
    CancellationRequested,
    CheckoutStarted,
    LineChanged,
    OrderCancelled,
    OrderCompleted,
    OrderConfirmed,
    OrderPlaced,
    OrderShipped,
    OrderSummary,
    OrderView,
)

from orders.values import (
    CANCELLED,
    CANCELLING,
    CHECKING_OUT,
    COMPLETED,
    CONFIRMED,
    OPEN,
    SHIPPED,
    set_quantity,
)

__all__ = ["OrderSummaries", "OrderViews"]


class OrderViews(Projection[OrderView]):
    """Shows one order in full."""

    version = 2

    status = follows(
        "status",
        {
            CheckoutStarted: CHECKING_OUT,
            OrderConfirmed: CONFIRMED,
            OrderCompleted: COMPLETED,
        },
    )

    def after(self, view: OrderView, meta: EventMetadata) -> None:
        """Set when the order last changed."""
        meta.stamp(view.changed_at)
        view.version = meta.version

    @projects
    def placed(self, view: OrderView, event: OrderPlaced, meta: EventMetadata) -> None:
        view.customer_id = event.customer_id
        view.status = OPEN
        view.lines.extend(event.lines)
        view.total.CopyFrom(event.total)
        meta.stamp(view.placed_at)

    @projects
    def line_changed(self, view: OrderView, event: LineChanged) -> None:
        set_quantity(view.lines, event.line_id, event.quantity)
        view.total.CopyFrom(event.total)

    @projects
    def cancelled(self, view: OrderView, event: OrderCancelled) -> None:
        view.status = CANCELLED
        view.cancel_reason = event.reason

    @projects
    def cancellation_requested(self, view: OrderView, event: CancellationRequested) -> None:
        view.status = CANCELLING
        view.cancel_reason = event.reason

    @projects
    def shipped(self, view: OrderView, event: OrderShipped) -> None:
        """Show that the order is under way, and not cancelled after all."""
        view.status = SHIPPED
        view.ClearField("cancel_reason")


class OrderSummaries(Projection[OrderSummary]):
    """Lists orders, to page through and to filter by customer and status."""

    status = follows(
        "status",
        {
            CheckoutStarted: CHECKING_OUT,
            OrderConfirmed: CONFIRMED,
            CancellationRequested: CANCELLING,
            OrderShipped: SHIPPED,
            OrderCompleted: COMPLETED,
            OrderCancelled: CANCELLED,
        },
    )

    @projects
    def placed(self, row: OrderSummary, event: OrderPlaced, meta: EventMetadata) -> None:
        row.customer_id = event.customer_id
        row.status = OPEN
        row.line_count = len(event.lines)
        row.total.CopyFrom(event.total)
        meta.stamp(row.placed_at)

    @projects
    def line_changed(self, row: OrderSummary, event: LineChanged) -> None:
        row.line_count -= event.quantity == 0
        row.total.CopyFrom(event.total)
