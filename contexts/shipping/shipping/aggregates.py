"""The Parcel, from its request to its end; and the OrderNote, what shipping knows of an order."""

from __future__ import annotations

from collections.abc import Sequence

from intent.model import Aggregate, applies, handles
from intent_contracts.shipping.v1 import (
    ArrangeParcel,
    CancelParcel,
    DeliverParcel,
    HandOverParcel,
    NoteOrder,
    NoteOrderStatus,
    OrderNoted,
    OrderNoteState,
    OrderStatusNoted,
    ParcelArranged,
    ParcelBooked,
    ParcelCancelled,
    ParcelDelivered,
    ParcelHandedOver,
    ParcelReturned,
    ParcelState,
    Reason,
    RecordBooking,
    ReturnParcel,
)

from shipping.values import ARRANGED, BOOKED, CANCELLED, DELIVERED, HANDED_OVER, PLACED, RETURNED

__all__ = ["OrderNote", "Parcel"]


class Parcel(Aggregate[ParcelState]):
    """What brings an order to its receiver.

    Its rules, by reason:

    PARCEL_ALREADY_ARRANGED  there is a parcel with this id
    PARCEL_NOT_FOUND         there is no parcel with this id
    PARCEL_CANCELLED         it was cancelled; no carrier may take it
    PARCEL_HANDED_OVER       the carrier has it: it can no longer be cancelled
    PARCEL_DELIVERED         the receiver has it: it can neither be cancelled nor come back
    PARCEL_RETURNED          it came back: it can neither be cancelled nor be delivered
    TRACKING_NUMBER_DIFFERS  the carrier booked it before, under another number

    A report of the carrier that comes twice or late records nothing. One that overtakes the
    hand-over or the booking is accepted: the carrier must have the parcel.
    """

    @handles
    def arrange(self, command: ArrangeParcel) -> ParcelArranged:
        """Request a carrier for the parcel."""
        self._refuse_cancelled()
        self.reject_if(self.exists, Reason.PARCEL_ALREADY_ARRANGED, "parcel {id} was arranged before")
        return ParcelArranged(
            order_id=command.order_id,
            ship_to=command.ship_to,
            articles=command.articles,
            customer_id=command.customer_id,
        )

    @handles
    def record_booking(self, command: RecordBooking) -> ParcelBooked | None:
        """Record that the carrier will fetch it."""
        self.require_exists()
        known, number = self.state.tracking_number, command.tracking_number
        self.reject_if(
            known not in ("", number),
            Reason.TRACKING_NUMBER_DIFFERS,
            "parcel {id} is booked as {known}, the carrier now says {number}",
            known=known,
            number=number,
        )
        if known or self.state.status == CANCELLED:
            return None
        return ParcelBooked(order_id=self.state.order_id, tracking_number=number)

    @handles
    def hand_over(self, command: HandOverParcel) -> ParcelHandedOver | None:
        """Record that the carrier has it."""
        self.require_exists()
        self._refuse_cancelled()
        return self._handed_over() if self.state.status in (ARRANGED, BOOKED) else None

    @handles
    def deliver(self, command: DeliverParcel) -> Sequence[ParcelHandedOver | ParcelDelivered]:
        """Record that the receiver has it."""
        self.require_exists()
        self._refuse_cancelled()
        status = self.state.status
        self.reject_if(status == RETURNED, Reason.PARCEL_RETURNED, "parcel {id} came back before")
        if status == DELIVERED:
            return []
        delivered = ParcelDelivered(order_id=self.state.order_id)
        return [delivered] if status == HANDED_OVER else [self._handed_over(), delivered]

    @handles
    def take_back(self, command: ReturnParcel) -> Sequence[ParcelHandedOver | ParcelReturned]:
        """Record that it came back."""
        self.require_exists()
        self._refuse_cancelled()
        status = self.state.status
        self.reject_if(status == DELIVERED, Reason.PARCEL_DELIVERED, "parcel {id} was delivered before")
        if status == RETURNED:
            return []
        returned = ParcelReturned(order_id=self.state.order_id, reason=command.reason)
        return [returned] if status == HANDED_OVER else [self._handed_over(), returned]

    @handles
    def cancel(self, command: CancelParcel) -> ParcelCancelled | None:
        """Cancel it, even before it was arranged: a request that arrives later is then rejected."""
        status = self.state.status
        self.reject_if(status == HANDED_OVER, Reason.PARCEL_HANDED_OVER, "the carrier has parcel {id}")
        self.reject_if(status == DELIVERED, Reason.PARCEL_DELIVERED, "parcel {id} was delivered")
        self.reject_if(status == RETURNED, Reason.PARCEL_RETURNED, "parcel {id} came back")
        if status == CANCELLED:
            return None
        return ParcelCancelled(order_id=self.state.order_id, reason=command.reason)

    @applies
    def arranged(self, event: ParcelArranged) -> None:
        self.state.status = ARRANGED
        self.state.order_id = event.order_id

    @applies
    def booked(self, event: ParcelBooked) -> None:
        self.state.tracking_number = event.tracking_number
        if self.state.status == ARRANGED:
            self.state.status = BOOKED

    @applies
    def handed_over(self, event: ParcelHandedOver) -> None:
        self.state.status = HANDED_OVER

    @applies
    def delivered(self, event: ParcelDelivered) -> None:
        self.state.status = DELIVERED

    @applies
    def returned(self, event: ParcelReturned) -> None:
        self.state.status = RETURNED

    @applies
    def cancelled(self, event: ParcelCancelled) -> None:
        self.state.status = CANCELLED

    def _refuse_cancelled(self) -> None:
        self.reject_if(self.state.status == CANCELLED, Reason.PARCEL_CANCELLED, "parcel {id} is cancelled")

    def _handed_over(self) -> ParcelHandedOver:
        return ParcelHandedOver(order_id=self.state.order_id, tracking_number=self.state.tracking_number)


class OrderNote(Aggregate[OrderNoteState]):
    """What shipping knows of an order of the orders context.

    Nothing is rejected: the orders context decides, and shipping takes note. What is noted already
    is not noted again, so the same command may come any number of times.
    """

    @handles
    def note(self, command: NoteOrder) -> OrderNoted | None:
        """Note who ordered, and how many lines."""
        known = (self.state.customer_id, self.state.line_count)
        if known == (command.customer_id, command.line_count):
            return None
        return OrderNoted(customer_id=command.customer_id, line_count=command.line_count)

    @handles
    def note_status(self, command: NoteOrderStatus) -> OrderStatusNoted | None:
        """Note the status of the order."""
        return None if self.state.status == command.status else OrderStatusNoted(status=command.status)

    @applies
    def noted(self, event: OrderNoted) -> None:
        self.state.customer_id = event.customer_id
        self.state.line_count = event.line_count
        self.state.status = self.state.status or PLACED

    @applies
    def status_noted(self, event: OrderStatusNoted) -> None:
        self.state.status = event.status
