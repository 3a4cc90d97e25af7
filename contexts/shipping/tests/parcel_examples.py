"""Messages that the tests of the context share."""

from __future__ import annotations

from intent_contracts.shipping.v1 import (
    Address,
    ArrangeParcel,
    CancelParcel,
    DeliverParcel,
    HandOverParcel,
    NoteOrder,
    NoteOrderStatus,
    OrderNoted,
    OrderStatusNoted,
    ParcelArranged,
    ParcelBooked,
    ParcelCancelled,
    ParcelDelivered,
    ParcelHandedOver,
    ParcelReturned,
    RecordBooking,
    ReturnParcel,
)

ID, ORDER, NUMBER, WHY = "s-1", "o-1", "track-1", "nobody was there"
HOME = Address(name="Ann", street="Lane 1", postal_code="10115", city="Berlin", country="DE")

ARRANGE = ArrangeParcel(parcel_id=ID, order_id=ORDER, ship_to=HOME, articles=3, customer_id="ann")
BOOK = RecordBooking(parcel_id=ID, tracking_number=NUMBER)
HAND_OVER = HandOverParcel(parcel_id=ID)
DELIVER = DeliverParcel(parcel_id=ID)
RETURN = ReturnParcel(parcel_id=ID, reason=WHY)
CANCEL = CancelParcel(parcel_id=ID, reason=WHY)

ARRANGED = ParcelArranged(order_id=ORDER, ship_to=HOME, articles=3, customer_id="ann")
BOOKED = ParcelBooked(order_id=ORDER, tracking_number=NUMBER)
HANDED_OVER = ParcelHandedOver(order_id=ORDER, tracking_number=NUMBER)
HANDED_OVER_EARLY = ParcelHandedOver(order_id=ORDER)
DELIVERED = ParcelDelivered(order_id=ORDER)
RETURNED = ParcelReturned(order_id=ORDER, reason=WHY)
CANCELLED = ParcelCancelled(order_id=ORDER, reason=WHY)

WAITING = (ARRANGED, BOOKED)
ON_ITS_WAY = (*WAITING, HANDED_OVER)

NOTE = NoteOrder(order_id=ORDER, customer_id="ann", line_count=2)
NOTED = OrderNoted(customer_id="ann", line_count=2)


def note_status(status: str) -> NoteOrderStatus:
    return NoteOrderStatus(order_id=ORDER, status=status)


def status_noted(status: str) -> OrderStatusNoted:
    return OrderStatusNoted(status=status)
