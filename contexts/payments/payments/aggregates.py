"""The Payment: authorized, captured, refunded, and cancelled from any status."""

from __future__ import annotations

from collections.abc import Sequence

from intent.model import Aggregate, applies, handles
from intent_contracts.payments.v1 import (
    AuthorizationRequested,
    AuthorizePayment,
    CancellationRequested,
    CancelPayment,
    CapturePayment,
    CaptureRequested,
    Money,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentDeclined,
    PaymentRefunded,
    PaymentState,
    PaymentVoided,
    Reason,
    RecordAuthorization,
    RecordCapture,
    RecordCaptureDecline,
    RecordDecline,
    RecordRefund,
    RecordVoid,
    RefundPayment,
    RefundRequested,
    VoidRequested,
)

from payments.values import (
    AUTHORIZED,
    AUTHORIZING,
    CANCEL_REFUND_ID,
    CAPTURED,
    CAPTURING,
    DECLINED,
    REFUNDED,
    VOIDED,
)

__all__ = ["Payment"]

LATE_GRANT = "authorized after it was declined"
UNWANTED = "charged although it was declined"


class Payment(Aggregate[PaymentState]):
    """What a customer pays for an order with one card.

    Its rules, by reason:

    PAYMENT_ALREADY_EXISTS      there is a payment with this id
    PAYMENT_NOT_FOUND           there is no payment with this id
    PAYMENT_CANCELLED           it is cancelled, or being cancelled
    PAYMENT_DECLINED            the provider declined it
    PAYMENT_NOT_AUTHORIZED      the provider has not answered yet whether it holds the amount
    CAPTURE_UNDER_WAY           the provider was asked to charge it before
    PAYMENT_ALREADY_CAPTURED    it was charged before
    PAYMENT_REFUNDED            it was charged and refunded in full
    PAYMENT_NOT_CAPTURED        nothing is charged that could be refunded
    REFUND_ALREADY_REQUESTED    there is a refund with this id
    REFUND_CURRENCY_DIFFERS     a refund is in the currency of the payment
    REFUND_EMPTY                a refund is of more than nothing
    REFUND_EXCEEDS_CAPTURE      all refunds together would exceed the charge
    AUTHORIZATION_CODE_DIFFERS  the provider answered before, with another code
    CAPTURE_CODE_DIFFERS        the provider answered before, with another code
    PAYMENT_ALREADY_AUTHORIZED  the provider cannot decline what it granted
    CAPTURE_NOT_REQUESTED       the provider declines a charge that was not requested
    REFUND_NOT_REQUESTED        the provider answers a refund that was not requested
    VOID_NOT_REQUESTED          the provider releases an amount that is to be held

    An answer of the provider that comes twice records nothing the second time. A payment that is
    charged although it is cancelled or declined is refunded at once.
    """

    @handles
    def authorize(self, command: AuthorizePayment) -> AuthorizationRequested:
        """Request that the provider holds the amount."""
        self._refuse_cancelled()
        self.reject_if(self.exists, Reason.PAYMENT_ALREADY_EXISTS, "payment {id} was requested before")
        return AuthorizationRequested(
            order_id=command.order_id,
            amount=command.amount,
            card_token=command.card_token,
            customer_id=command.customer_id,
        )

    @handles
    def capture(self, command: CapturePayment) -> CaptureRequested:
        """Request that the provider charges the amount that it holds."""
        self.require_exists()
        self._refuse_cancelled()
        self._require_authorized()
        state = self.state
        return CaptureRequested(
            order_id=state.order_id, amount=state.amount, authorization_code=state.authorization_code
        )

    @handles
    def refund(self, command: RefundPayment) -> RefundRequested:
        """Request a refund of the charge, or of a part of it."""
        self.require_exists()
        refund_id, amount = command.refund_id, command.amount
        self.reject_if(
            refund_id in self.state.refunds_under_way or refund_id in self.state.refunds_done,
            Reason.REFUND_ALREADY_REQUESTED,
            "refund {refund_id} of payment {id} was requested before",
            refund_id=refund_id,
        )
        self.reject_if(
            self.state.status not in (CAPTURED, REFUNDED),
            Reason.PAYMENT_NOT_CAPTURED,
            "nothing is charged on payment {id}; cancel it instead",
        )
        self._check_refund(amount)
        return self._refund(refund_id, amount.minor_units, command.reason)

    @handles
    def cancel(
        self, command: CancelPayment
    ) -> VoidRequested | CancellationRequested | RefundRequested | PaymentVoided | None:
        """Undo the payment, whatever its status."""
        state = self.state
        if not self.exists:
            # A request to authorize that arrives later, out of order, must be rejected.
            return PaymentVoided(reason=command.reason)
        if state.cancel_reason:
            return None
        if state.status in (AUTHORIZING, AUTHORIZED):
            return self._void(state.authorization_code, command.reason)
        if state.status == CAPTURING:
            return CancellationRequested(order_id=state.order_id, reason=command.reason)
        if state.status == CAPTURED:
            return self._give_back(command.reason)
        return None

    @handles
    def record_authorization(self, command: RecordAuthorization) -> PaymentAuthorized | VoidRequested | None:
        """Record that the amount is held."""
        self.require_exists()
        state, code = self.state, command.authorization_code
        if state.status == AUTHORIZING and not state.cancel_reason:
            return PaymentAuthorized(order_id=state.order_id, amount=state.amount, authorization_code=code)
        if state.status == DECLINED and not state.authorization_code:
            return self._void(code, LATE_GRANT)
        self.reject_if(
            state.authorization_code not in ("", code),
            Reason.AUTHORIZATION_CODE_DIFFERS,
            "payment {id} is authorized as {known}, the provider now says {code}",
            known=state.authorization_code,
            code=code,
        )
        return None

    @handles
    def record_decline(self, command: RecordDecline) -> PaymentDeclined | PaymentVoided | None:
        """Record that nothing is held."""
        self.require_exists()
        if self.state.status in (DECLINED, VOIDED):
            return None
        self.reject_if(
            self.state.status != AUTHORIZING,
            Reason.PAYMENT_ALREADY_AUTHORIZED,
            "payment {id} is authorized as {code}; the provider cannot decline it any more",
            code=self.state.authorization_code,
        )
        return self._declined(command.decline_code)

    @handles
    def record_capture(self, command: RecordCapture) -> Sequence[PaymentCaptured | RefundRequested]:
        """Record that the amount is charged, and request a refund when it should not be."""
        self.require_exists()
        state, code = self.state, command.capture_code
        if state.capture_code:
            self.reject_if(
                state.capture_code != code,
                Reason.CAPTURE_CODE_DIFFERS,
                "payment {id} is charged as {known}, the provider now says {code}",
                known=state.capture_code,
                code=code,
            )
            return []
        self.reject_if(not state.order_id, Reason.CAPTURE_NOT_REQUESTED, "payment {id} was never requested")
        captured = PaymentCaptured(order_id=state.order_id, amount=state.amount, capture_code=code)
        if state.cancel_reason or state.status == DECLINED:
            amount, reason = state.amount.minor_units, state.cancel_reason or UNWANTED
            return [captured, self._refund(CANCEL_REFUND_ID, amount, reason, code)]
        return [captured]

    @handles
    def record_capture_decline(self, command: RecordCaptureDecline) -> PaymentDeclined | PaymentVoided | None:
        """Record that the amount could not be charged and is held no longer."""
        self.require_exists()
        if self.state.status in (DECLINED, VOIDED):
            return None
        self.reject_if(
            self.state.status in (CAPTURED, REFUNDED),
            Reason.PAYMENT_ALREADY_CAPTURED,
            "payment {id} is charged as {code}; the provider cannot decline it any more",
            code=self.state.capture_code,
        )
        self.reject_if(
            self.state.status != CAPTURING,
            Reason.CAPTURE_NOT_REQUESTED,
            "no charge of payment {id} was requested",
        )
        return self._declined(command.decline_code)

    @handles
    def record_refund(self, command: RecordRefund) -> PaymentRefunded | None:
        """Record that an amount was refunded."""
        self.require_exists()
        state, refund_id = self.state, command.refund_id
        if refund_id in state.refunds_done:
            return None
        self.reject_if(
            refund_id not in state.refunds_under_way,
            Reason.REFUND_NOT_REQUESTED,
            "refund {refund_id} of payment {id} was never requested",
            refund_id=refund_id,
        )
        minor_units = state.refunds_under_way[refund_id]
        return PaymentRefunded(
            order_id=state.order_id,
            refund_id=refund_id,
            amount=Money(minor_units=minor_units, currency=state.amount.currency),
            in_full=sum(state.refunds_done.values()) + minor_units == state.amount.minor_units,
        )

    @handles
    def record_void(self, command: RecordVoid) -> PaymentVoided | None:
        """Record that nothing is held any more."""
        self.require_exists()
        state = self.state
        if state.status == CAPTURING or not (state.cancel_reason or state.status == DECLINED):
            self.reject(Reason.VOID_NOT_REQUESTED, "no void of payment {id} was requested")
        if state.status in (AUTHORIZING, AUTHORIZED):
            return PaymentVoided(order_id=state.order_id, reason=state.cancel_reason)
        return None

    @applies
    def authorization_requested(self, event: AuthorizationRequested) -> None:
        self.state.status = AUTHORIZING
        self.state.order_id = event.order_id
        self.state.amount.CopyFrom(event.amount)

    @applies
    def authorized(self, event: PaymentAuthorized) -> None:
        self.state.status = AUTHORIZED
        self.state.authorization_code = event.authorization_code

    @applies
    def declined(self, event: PaymentDeclined) -> None:
        self.state.status = DECLINED

    @applies
    def capture_requested(self, event: CaptureRequested) -> None:
        self.state.status = CAPTURING

    @applies
    def captured(self, event: PaymentCaptured) -> None:
        self.state.status = CAPTURED
        self.state.capture_code = event.capture_code

    @applies
    def refund_requested(self, event: RefundRequested) -> None:
        self.state.refunds_under_way[event.refund_id] = event.amount.minor_units
        if event.refund_id == CANCEL_REFUND_ID:
            self.state.cancel_reason = event.reason

    @applies
    def refunded(self, event: PaymentRefunded) -> None:
        del self.state.refunds_under_way[event.refund_id]
        self.state.refunds_done[event.refund_id] = event.amount.minor_units
        if event.in_full:
            self.state.status = REFUNDED

    @applies
    def void_requested(self, event: VoidRequested) -> None:
        self.state.authorization_code = event.authorization_code
        self.state.cancel_reason = event.reason

    @applies
    def cancellation_requested(self, event: CancellationRequested) -> None:
        """Remember to refund it once it is charged."""
        self.state.cancel_reason = event.reason

    @applies
    def voided(self, event: PaymentVoided) -> None:
        self.state.status = VOIDED
        self.state.cancel_reason = event.reason

    @property
    def _refundable(self) -> int:
        """What can still be refunded, in minor units: refunds under way are deducted."""
        state = self.state
        taken = sum(state.refunds_under_way.values()) + sum(state.refunds_done.values())
        return state.amount.minor_units - taken

    def _refuse_cancelled(self) -> None:
        self.reject_if(self.state.cancel_reason, Reason.PAYMENT_CANCELLED, "payment {id} is cancelled")

    def _require_authorized(self) -> None:
        status = self.state.status
        self.reject_if(
            status == AUTHORIZING,
            Reason.PAYMENT_NOT_AUTHORIZED,
            "payment {id} waits for the provider's answer",
        )
        self.reject_if(status == DECLINED, Reason.PAYMENT_DECLINED, "the provider declined payment {id}")
        self.reject_if(status == CAPTURING, Reason.CAPTURE_UNDER_WAY, "payment {id} is being charged")
        self.reject_if(status == CAPTURED, Reason.PAYMENT_ALREADY_CAPTURED, "payment {id} was charged before")
        self.reject_if(status == REFUNDED, Reason.PAYMENT_REFUNDED, "payment {id} was charged and refunded")

    def _check_refund(self, amount: Money) -> None:
        self.reject_if(
            amount.currency != self.state.amount.currency,
            Reason.REFUND_CURRENCY_DIFFERS,
            "payment {id} is in {currency}",
            currency=self.state.amount.currency,
        )
        self.reject_if(not amount.minor_units, Reason.REFUND_EMPTY, "a refund must be of more than nothing")
        self.reject_if(
            amount.minor_units > self._refundable,
            Reason.REFUND_EXCEEDS_CAPTURE,
            "{refundable} minor units of payment {id} can still be refunded",
            refundable=self._refundable,
        )

    def _declined(self, code: str) -> PaymentDeclined | PaymentVoided:
        state = self.state
        if state.cancel_reason:
            return PaymentVoided(order_id=state.order_id, reason=state.cancel_reason)
        return PaymentDeclined(order_id=state.order_id, decline_code=code)

    def _void(self, authorization_code: str, reason: str) -> VoidRequested:
        return VoidRequested(
            order_id=self.state.order_id, authorization_code=authorization_code, reason=reason
        )

    def _give_back(self, reason: str) -> RefundRequested | None:
        # A charge of nothing is refunded like any other, so that it ends like any other.
        if self._refundable or not self.state.amount.minor_units:
            return self._refund(CANCEL_REFUND_ID, self._refundable, reason)
        return None

    def _refund(
        self, refund_id: str, minor_units: int, reason: str, capture_code: str = ""
    ) -> RefundRequested:
        return RefundRequested(
            order_id=self.state.order_id,
            refund_id=refund_id,
            amount=Money(minor_units=minor_units, currency=self.state.amount.currency),
            capture_code=capture_code or self.state.capture_code,
            reason=reason,
            refund_key=f"{self.id}/{refund_id}",
        )
