"""The sagas: booking a parcel, and the reports of the simulated carrier."""

from __future__ import annotations

from datetime import timedelta

from google.protobuf.message import Message
from intent.errors import StepRejected
from intent.model import Saga
from intent_contracts.shipping.v1 import (
    CarrierCall,
    DeliverParcel,
    HandOverParcel,
    ParcelArranged,
    ParcelBooked,
    RecordBooking,
    ReturnParcel,
    SimulationCall,
)

from shipping.ports import CARRIER, SIMULATION

__all__ = ["BookParcel", "SimulateCarrier"]


class BookParcel(Saga):
    """Has the carrier book a parcel."""

    async def run(self, arranged: ParcelArranged) -> None:
        """Call until there is an answer, and record it."""
        parcel = self.cause.aggregate_id
        call = CarrierCall(
            idempotency_key=f"{self.tenant}/{parcel}", ship_to=arranged.ship_to, articles=arranged.articles
        )
        answer = await self.call(CARRIER, call)
        await self.execute(RecordBooking(parcel_id=parcel, tracking_number=answer.tracking_number))


class SimulateCarrier(Saga):
    """Plays the carrier: fetches a parcel, delivers or returns it, and reports both."""

    async def run(self, booked: ParcelBooked) -> None:
        """Report as planned, unless the parcel is cancelled before it is fetched."""
        plan = await self.call(SIMULATION, SimulationCall(tracking_number=booked.tracking_number))
        if not plan.reports:
            return
        parcel = self.cause.aggregate_id
        await self.sleep(timedelta(milliseconds=plan.hand_over_after_ms))
        try:
            await _report(self, plan.reports, HandOverParcel(parcel_id=parcel))
        except StepRejected:
            # It is cancelled: there is nothing to fetch.
            return
        await self.sleep(timedelta(milliseconds=plan.arrive_after_ms))
        arrival: Message = DeliverParcel(parcel_id=parcel)
        if plan.return_reason:
            arrival = ReturnParcel(parcel_id=parcel, reason=plan.return_reason)
        await _report(self, plan.reports, arrival)


async def _report(saga: Saga, times: int, command: Message) -> None:
    for _ in range(times):
        await saga.execute(command)
