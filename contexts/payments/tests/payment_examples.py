"""Messages that the tests of the context share, and histories of a payment."""

from __future__ import annotations

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
    PaymentVoided,
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

ID, ORDER, CARD, WHY = "p-1", "o-1", "tok-visa", "changed my mind"


def eur(minor_units: int) -> Money:
    return Money(minor_units=minor_units, currency="EUR")


PRICE = eur(1000)

AUTHORIZE = AuthorizePayment(payment_id=ID, order_id=ORDER, amount=PRICE, card_token=CARD, customer_id="ann")
CAPTURE = CapturePayment(payment_id=ID)
CANCEL = CancelPayment(payment_id=ID, reason=WHY)
GRANT = RecordAuthorization(payment_id=ID, authorization_code="auth-1")
DECLINE = RecordDecline(payment_id=ID, decline_code="CARD_EXPIRED")
CHARGE = RecordCapture(payment_id=ID, capture_code="cap-1")
CAPTURE_DECLINE = RecordCaptureDecline(payment_id=ID, decline_code="AUTHORIZATION_EXPIRED")
RELEASE = RecordVoid(payment_id=ID)

ASKED = AuthorizationRequested(order_id=ORDER, amount=PRICE, card_token=CARD, customer_id="ann")
AUTHORIZED = PaymentAuthorized(order_id=ORDER, amount=PRICE, authorization_code="auth-1")
DECLINED = PaymentDeclined(order_id=ORDER, decline_code="CARD_EXPIRED")
CAPTURE_ASKED = CaptureRequested(order_id=ORDER, amount=PRICE, authorization_code="auth-1")
CAPTURED = PaymentCaptured(order_id=ORDER, amount=PRICE, capture_code="cap-1")
VOID_ASKED_EARLY = VoidRequested(order_id=ORDER, reason=WHY)
VOID_ASKED = VoidRequested(order_id=ORDER, authorization_code="auth-1", reason=WHY)
CANCEL_ASKED = CancellationRequested(order_id=ORDER, reason=WHY)
VOIDED = PaymentVoided(order_id=ORDER, reason=WHY)

HELD = (ASKED, AUTHORIZED)
CHARGING = (*HELD, CAPTURE_ASKED)
CHARGED = (*CHARGING, CAPTURED)


def refund(minor_units: int, refund_id: str = "r-1") -> RefundPayment:
    return RefundPayment(payment_id=ID, refund_id=refund_id, amount=eur(minor_units), reason=WHY)


def refund_asked(minor_units: int, refund_id: str = "r-1") -> RefundRequested:
    return RefundRequested(
        order_id=ORDER,
        refund_id=refund_id,
        amount=eur(minor_units),
        capture_code="cap-1",
        reason=WHY,
        refund_key=f"{ID}/{refund_id}",
    )


def give_back(refund_id: str = "r-1") -> RecordRefund:
    return RecordRefund(payment_id=ID, refund_id=refund_id, refund_code=f"ref-{refund_id}")


def refunded(minor_units: int, refund_id: str = "r-1", *, in_full: bool = False) -> PaymentRefunded:
    return PaymentRefunded(order_id=ORDER, refund_id=refund_id, amount=eur(minor_units), in_full=in_full)


GIVEN_BACK = (*CHARGED, refund_asked(1000), refunded(1000, in_full=True))
