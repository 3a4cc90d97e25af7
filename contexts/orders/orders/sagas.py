"""The sagas of the context: how an order is fulfilled, or undone completely."""

from __future__ import annotations

from datetime import timedelta

from google.protobuf.message import Message
from intent.errors import Interrupted, SagaFailure, StepTimedOut
from intent.model import Compensation, Saga
from intent_contracts.inventory.v1 import Reason as StockReason
from intent_contracts.orders.v1 import CancellationRequested, CheckoutStarted, OrderCancelled, Reason
from intent_contracts.payments.v1 import PaymentAuthorized, PaymentCaptured, PaymentDeclined, PaymentVoided
from intent_contracts.payments.v1 import Reason as PaymentReason
from intent_contracts.shipping.v1 import ParcelCancelled, ParcelDelivered, ParcelHandedOver, ParcelReturned
from intent_contracts.shipping.v1 import Reason as ParcelReason

from orders.fulfilment import Fulfilment

__all__ = ["DELIVERY_TIME", "PAYMENT_TIME", "PICK_UP_TIME", "RETURN_TIME", "FulfilOrder"]

PAYMENT_TIME = timedelta(days=7)
"""How long the payment provider may take to authorize."""
PICK_UP_TIME = timedelta(days=7)
"""How long the carrier may take to fetch the parcel."""
DELIVERY_TIME = timedelta(days=14)
"""How long the parcel may be under way."""
RETURN_TIME = timedelta(days=90)
"""How long to wait for the return of a parcel whose order was abandoned."""
ROOM_PAUSES = tuple(timedelta(seconds=10 * 2**number) for number in range(13))
"""The pauses between attempts to reserve in a warehouse without room for reservations: a day in all."""

_LEFT = {ParcelReason.PARCEL_HANDED_OVER, ParcelReason.PARCEL_DELIVERED, ParcelReason.PARCEL_RETURNED}
"""The reasons for which a parcel can no longer be stopped."""
_CAPTURED = {PaymentReason.CAPTURE_UNDER_WAY, PaymentReason.PAYMENT_ALREADY_CAPTURED}
"""The reasons for which the charge need not be requested again."""


class FulfilOrder(Saga):
    """Fulfils an order: stock, payment, parcel, charge and delivery; or undoes all of it.

    Who decides a race:

    - Until the order is confirmed, `CancelOrder` alone cancels it. The order decides whether it is
      confirmed or cancelled, and the saga learns which.
    - After that, a cancellation is a request, and the parcel decides: either it is stopped and the
      order is cancelled, or the carrier has it and the order is shipped.
    - Once the carrier has the goods, the order can no longer be cancelled. The goods can come back
      or be lost, or the charge can be declined; then the order is undone, and goods that come back
      go back into stock.
    """

    _ended = False

    async def run(self, started: CheckoutStarted) -> None:
        """Fulfil the order that was checked out."""
        order = Fulfilment(self.correlation, started)
        try:
            await self._secure(order)
            await self._send_off(order)
            await self._see_through(order)
        except SagaFailure as failure:
            self._end_order(order, failure)
            raise

    async def _secure(self, order: Fulfilment) -> None:
        """Reserve the goods and authorize the payment, then confirm the order."""
        with self.interruptible_by(OrderCancelled):
            await self._reserve(order)
            await self.execute(order.authorize(), compensate=order.cancel_payment())
            answer = await self.wait_for(
                PaymentAuthorized, PaymentDeclined, PaymentVoided, timeout=PAYMENT_TIME
            )
            self._require_money(answer)
            await self.execute(order.confirm(), accepts={Reason.ORDER_ALREADY_CONFIRMED})

    async def _reserve(self, order: Fulfilment) -> None:
        """Reserve the goods, again and again while the warehouse has no room for reservations."""
        release = Compensation(order.release(), accepts={StockReason.RESERVATION_NOT_FOUND})
        full = {StockReason.TOO_MANY_RESERVATIONS}
        for pause in ROOM_PAUSES:
            if await self.execute(order.reserve(), accepts=full, compensate=release) is not None:
                return
            await self.sleep(pause)
        await self.execute(order.reserve(), compensate=release)

    async def _send_off(self, order: Fulfilment) -> None:
        """Have the parcel fetched; raise when it was stopped instead."""
        await self.execute(order.arrange(), compensate=order.cancel_parcel())
        try:
            with self.interruptible_by(CancellationRequested, OrderCancelled):
                gone = await self.wait_for(ParcelHandedOver, ParcelCancelled, timeout=PICK_UP_TIME)
        except (Interrupted, StepTimedOut):
            if await self._stopped(order):
                raise
        else:
            if isinstance(gone, ParcelCancelled):
                self.fail("PARCEL_CANCELLED", f"shipping gave up the parcel: {gone.reason}")

    async def _stopped(self, order: Fulfilment) -> bool:
        """Stop the parcel; return False when the carrier has it already."""
        return await self.execute(order.cancel_parcel(), accepts=_LEFT) is not None

    async def _see_through(self, order: Fulfilment) -> None:
        """Charge for the goods that left, and wait until they are delivered."""
        self._undo_as_left(order)
        try:
            end = await self._under_way(order)
        except SagaFailure as failure:
            await self._give_up(order, failure)
            raise
        if isinstance(end, ParcelReturned):
            self.compensate_with(order.put_back())
            self.fail("PARCEL_RETURNED", f"the parcel came back: {end.reason}")
        await self.execute(order.complete(), accepts={Reason.ORDER_ALREADY_COMPLETED})

    def _undo_as_left(self, order: Fulfilment) -> None:
        """Let a failure from here on undo an order whose goods are out of the warehouse."""
        self.commit()
        ship_out = Compensation(order.ship_out(), accepts={StockReason.RESERVATION_NOT_FOUND})
        self.compensate_with([order.cancel_payment(), ship_out])

    async def _under_way(self, order: Fulfilment) -> ParcelDelivered | ParcelReturned:
        await self.parallel(
            self.execute(order.ship(), accepts={Reason.ORDER_ALREADY_SHIPPED}),
            self.execute(order.ship_out(), accepts={StockReason.RESERVATION_NOT_FOUND}),
            self.execute(order.capture(), accepts=_CAPTURED),
        )
        self._require_money(await self.wait_for(PaymentCaptured, PaymentDeclined, PaymentVoided))
        return await self.wait_for(ParcelDelivered, ParcelReturned, timeout=DELIVERY_TIME)

    async def _give_up(self, order: Fulfilment, failure: SagaFailure) -> None:
        """Refund the customer at once, then wait for the goods."""
        await self.execute(order.abandon(_words(failure)), accepts={Reason.ORDER_ALREADY_CANCELLED})
        await self.execute(order.cancel_payment())
        await self.execute(order.ship_out(), accepts={StockReason.RESERVATION_NOT_FOUND})
        self.commit()
        self._ended = True
        try:
            end = await self.wait_for(ParcelDelivered, ParcelReturned, timeout=RETURN_TIME)
        except StepTimedOut:
            return
        if isinstance(end, ParcelReturned):
            self.compensate_with(order.put_back())

    def _end_order(self, order: Fulfilment, failure: SagaFailure) -> None:
        if not self._ended:
            ended = Compensation(order.abandon(_words(failure)), accepts={Reason.ORDER_ALREADY_CANCELLED})
            self.compensate_with(ended)

    def _require_money(self, answer: Message) -> None:
        if isinstance(answer, PaymentDeclined):
            self.fail("PAYMENT_DECLINED", f"the payment was declined: {answer.decline_code}")
        if isinstance(answer, PaymentVoided):
            self.fail("PAYMENT_VOIDED", f"the payment was cancelled: {answer.reason}")


def _words(failure: SagaFailure) -> str:
    return f"{failure.reason}: {failure.message}"
