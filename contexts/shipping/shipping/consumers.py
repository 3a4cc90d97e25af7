"""What shipping does with the events of orders: it notes what it needs to know of each."""

from __future__ import annotations

from collections.abc import Sequence

from google.protobuf.message import Message
from intent.model import Consumer, EventMetadata, consumes
from intent_contracts.orders.v1 import (
    CheckoutStarted,
    OrderCancelled,
    OrderCompleted,
    OrderConfirmed,
    OrderPlaced,
    OrderShipped,
)
from intent_contracts.shipping.v1 import NoteOrder, NoteOrderStatus

__all__ = ["NoteOrders"]


class NoteOrders(Consumer):
    """Keeps a note of every order, so that shipping need not query orders."""

    name = "shipping.known-orders"

    @consumes
    def placed(self, event: OrderPlaced, meta: EventMetadata) -> NoteOrder:
        return _note(event, meta)

    @consumes
    def checkout_started(self, event: CheckoutStarted, meta: EventMetadata) -> Sequence[Message]:
        """Note the lines again: they may have changed, and are fixed now."""
        return [_note(event, meta), _status(meta, "checking-out")]

    @consumes
    def confirmed(self, event: OrderConfirmed, meta: EventMetadata) -> NoteOrderStatus:
        return _status(meta, "confirmed")

    @consumes
    def shipped(self, event: OrderShipped, meta: EventMetadata) -> NoteOrderStatus:
        return _status(meta, "shipped")

    @consumes
    def completed(self, event: OrderCompleted, meta: EventMetadata) -> NoteOrderStatus:
        return _status(meta, "completed")

    @consumes
    def cancelled(self, event: OrderCancelled, meta: EventMetadata) -> NoteOrderStatus:
        return _status(meta, "cancelled")


def _note(event: OrderPlaced | CheckoutStarted, meta: EventMetadata) -> NoteOrder:
    return NoteOrder(order_id=meta.aggregate_id, customer_id=event.customer_id, line_count=len(event.lines))


def _status(meta: EventMetadata, status: str) -> NoteOrderStatus:
    return NoteOrderStatus(order_id=meta.aggregate_id, status=status)
