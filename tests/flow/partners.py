"""A payment provider and a carrier that act at random."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from intent_contracts.payments.v1 import (
    AuthorizationRequested,
    CaptureRequested,
    RecordAuthorization,
    RecordCapture,
    RecordCaptureDecline,
    RecordDecline,
    RecordRefund,
    RecordVoid,
    RefundRequested,
    VoidRequested,
)
from intent_contracts.shipping.v1 import (
    DeliverParcel,
    HandOverParcel,
    ParcelArranged,
    ParcelHandedOver,
    RecordBooking,
    ReturnParcel,
)

from .contexts_in_memory import World

__all__ = ["Carrier", "Provider"]


@dataclass
class Provider:
    """A payment provider that answers at random and keeps a ledger."""

    world: World
    held: set[str] = field(default_factory=set)
    voided: set[str] = field(default_factory=set)
    captured: Counter[str] = field(default_factory=Counter)
    refunded: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.world.react(AuthorizationRequested, self._authorize)
        self.world.react(CaptureRequested, self._capture)
        self.world.react(VoidRequested, self._void)
        self.world.react(RefundRequested, self._refund)

    def _authorize(self, event: AuthorizationRequested, payment_id: str) -> None:
        fate = self.world.chance.random()

        async def answer() -> None:
            if payment_id in self.voided or fate < 0.15:
                self.world.asked(RecordDecline(payment_id=payment_id, decline_code="CARD_EXPIRED"))
            else:
                self.held.add(payment_id)
                self.world.asked(
                    RecordAuthorization(payment_id=payment_id, authorization_code=f"a-{payment_id}")
                )

        if fate < 0.95:
            self.world.soon(answer)

    def _capture(self, event: CaptureRequested, payment_id: str) -> None:
        fate = self.world.chance.random()

        async def answer() -> None:
            if fate < 0.1:
                self.held.discard(payment_id)
                self.world.asked(RecordCaptureDecline(payment_id=payment_id, decline_code="EXPIRED"))
            else:
                self.held.discard(payment_id)
                self.captured[payment_id] += event.amount.minor_units
                self.world.asked(RecordCapture(payment_id=payment_id, capture_code=f"c-{payment_id}"))

        self.world.soon(answer)

    def _void(self, event: VoidRequested, payment_id: str) -> None:
        async def answer() -> None:
            self.voided.add(payment_id)
            self.held.discard(payment_id)
            self.world.asked(RecordVoid(payment_id=payment_id))

        self.world.soon(answer)

    def _refund(self, event: RefundRequested, payment_id: str) -> None:
        async def answer() -> None:
            self.refunded[payment_id] += event.amount.minor_units
            self.world.asked(
                RecordRefund(payment_id=payment_id, refund_id=event.refund_id, refund_code=f"r-{payment_id}")
            )

        self.world.soon(answer)


@dataclass
class Carrier:
    """A carrier that fetches, delivers, returns or loses parcels at random."""

    world: World

    def __post_init__(self) -> None:
        self.world.react(ParcelArranged, self._book)
        self.world.react(ParcelHandedOver, self._deliver)

    def _book(self, event: ParcelArranged, parcel_id: str) -> None:
        async def fetch() -> None:
            self.world.asked(HandOverParcel(parcel_id=parcel_id))

        self.world.asked(RecordBooking(parcel_id=parcel_id, tracking_number=f"t-{parcel_id}"))
        if self.world.chance.random() < 0.9:
            self.world.soon(fetch)

    def _deliver(self, event: ParcelHandedOver, parcel_id: str) -> None:
        fate = self.world.chance.random()
        if fate < 0.7:
            self.world.asked(DeliverParcel(parcel_id=parcel_id))
        elif fate < 0.9:
            self.world.asked(ReturnParcel(parcel_id=parcel_id, reason="nobody home"))
        elif fate < 0.95:
            self.world.asked_later(40, ReturnParcel(parcel_id=parcel_id, reason="nobody home"))
