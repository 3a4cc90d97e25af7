"""The read models: one parcel, and what shipping knows of an order."""

from __future__ import annotations

from intent.model import EventMetadata, Projection, follows, projects
from intent_contracts.shipping.v1 import (
    KnownOrder,
    OrderNoted,
    OrderStatusNoted,
    ParcelArranged,
    ParcelBooked,
    ParcelCancelled,
    ParcelDelivered,
    ParcelHandedOver,
    ParcelReturned,
    ParcelView,
)

from shipping.values import ARRANGED, BOOKED, CANCELLED, DELIVERED, HANDED_OVER, PLACED, RETURNED

__all__ = ["KnownOrders", "ParcelViews"]


class ParcelViews(Projection[ParcelView]):
    """Shows one parcel."""

    version = 2

    status = follows("status", {ParcelHandedOver: HANDED_OVER, ParcelDelivered: DELIVERED})

    def after(self, view: ParcelView, meta: EventMetadata) -> None:
        """Set when the parcel last changed."""
        meta.stamp(view.changed_at)

    @projects
    def arranged(self, view: ParcelView, event: ParcelArranged) -> None:
        view.status = ARRANGED
        view.order_id = event.order_id
        view.ship_to.CopyFrom(event.ship_to)
        view.articles = event.articles
        view.customer_id = event.customer_id

    @projects
    def booked(self, view: ParcelView, event: ParcelBooked) -> None:
        """Show the tracking number; a late booking changes nothing else."""
        view.tracking_number = event.tracking_number
        if view.status == ARRANGED:
            view.status = BOOKED

    @projects
    def returned(self, view: ParcelView, event: ParcelReturned) -> None:
        view.status = RETURNED
        view.reason = event.reason

    @projects
    def cancelled(self, view: ParcelView, event: ParcelCancelled) -> None:
        view.status = CANCELLED
        view.reason = event.reason


class KnownOrders(Projection[KnownOrder]):
    """Shows what shipping knows of orders."""

    @projects
    def noted(self, order: KnownOrder, event: OrderNoted) -> None:
        order.customer_id = event.customer_id
        order.line_count = event.line_count
        order.status = order.status or PLACED

    @projects
    def status_noted(self, order: KnownOrder, event: OrderStatusNoted) -> None:
        order.status = event.status
