"""The read models: one order in full, and the order list."""

from __future__ import annotations

from intent.model import EventMetadata, Projection, projects
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

    def after(self, view: OrderView, meta: EventMetadata) -> None:
        """Tells when it last changed."""
        meta.stamp(view.changed_at)
        view.version = meta.version

    @projects
    def placed(self, view: OrderView, event: OrderPlaced, meta: EventMetadata) -> None:
        """Begins the view."""
        view.customer_id = event.customer_id
        view.status = OPEN
        view.lines.extend(event.lines)
        view.total.CopyFrom(event.total)
        meta.stamp(view.placed_at)

    @projects
    def line_changed(self, view: OrderView, event: LineChanged) -> None:
        """Sets the line, or drops it."""
        set_quantity(view.lines, event.line_id, event.quantity)
        view.total.CopyFrom(event.total)

    @projects
    def confirmed(self, view: OrderView, event: OrderConfirmed) -> None:
        """Shows it as confirmed."""
        view.status = CONFIRMED

    @projects
    def cancelled(self, view: OrderView, event: OrderCancelled) -> None:
        """Shows it as cancelled, and why."""
        view.status = CANCELLED
        view.cancel_reason = event.reason

    @projects
    def checkout_started(self, view: OrderView, event: CheckoutStarted) -> None:
        """Shows that it is being fulfilled."""
        view.status = CHECKING_OUT

    @projects
    def cancellation_requested(self, view: OrderView, event: CancellationRequested) -> None:
        """Shows that it may yet be cancelled, and why."""
        view.status = CANCELLING
        view.cancel_reason = event.reason

    @projects
    def shipped(self, view: OrderView, event: OrderShipped) -> None:
        """Shows that it is under way, and not cancelled after all."""
        view.status = SHIPPED
        view.ClearField("cancel_reason")

    @projects
    def completed(self, view: OrderView, event: OrderCompleted) -> None:
        """Shows that it ended well."""
        view.status = COMPLETED


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

    @projects
    def checkout_started(self, row: OrderSummary, event: CheckoutStarted) -> None:
        """Lists it as being fulfilled."""
        row.status = CHECKING_OUT

    @projects
    def cancellation_requested(self, row: OrderSummary, event: CancellationRequested) -> None:
        """Lists it as neither cancelled nor shipped yet."""
        row.status = CANCELLING

    @projects
    def shipped(self, row: OrderSummary, event: OrderShipped) -> None:
        """Lists it as under way."""
        row.status = SHIPPED

    @projects
    def completed(self, row: OrderSummary, event: OrderCompleted) -> None:
        """Lists it as ended well."""
        row.status = COMPLETED
