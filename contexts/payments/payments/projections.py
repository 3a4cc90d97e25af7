"""The read model: one payment, with what was charged and refunded."""

from __future__ import annotations

from intent.model import EventMetadata, Projection, follows, projects
from intent_contracts.payments.v1 import (
    AuthorizationRequested,
    CancellationRequested,
    CaptureRequested,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentDeclined,
    PaymentRefunded,
    PaymentView,
    PaymentVoided,
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

__all__ = ["PaymentViews"]


class PaymentViews(Projection[PaymentView]):
    """Shows one payment."""

    version = 2

    status = follows("status", {PaymentAuthorized: AUTHORIZED, CaptureRequested: CAPTURING})

    def after(self, view: PaymentView, meta: EventMetadata) -> None:
        """Set when the payment last changed."""
        meta.stamp(view.changed_at)

    @projects
    def authorization_requested(self, view: PaymentView, event: AuthorizationRequested) -> None:
        view.status = AUTHORIZING
        view.order_id = event.order_id
        view.amount.CopyFrom(event.amount)
        view.customer_id = event.customer_id

    @projects
    def declined(self, view: PaymentView, event: PaymentDeclined) -> None:
        view.status = DECLINED
        view.decline_code = event.decline_code

    @projects
    def captured(self, view: PaymentView, event: PaymentCaptured) -> None:
        view.status = CAPTURED
        view.captured = event.amount.minor_units

    @projects
    def refund_requested(self, view: PaymentView, event: RefundRequested) -> None:
        if event.refund_id == CANCEL_REFUND_ID:
            view.cancel_reason = event.reason

    @projects
    def refunded(self, view: PaymentView, event: PaymentRefunded) -> None:
        view.refunded += event.amount.minor_units
        if event.in_full:
            view.status = REFUNDED

    @projects
    def void_requested(self, view: PaymentView, event: VoidRequested) -> None:
        view.cancel_reason = event.reason

    @projects
    def cancellation_requested(self, view: PaymentView, event: CancellationRequested) -> None:
        view.cancel_reason = event.reason

    @projects
    def voided(self, view: PaymentView, event: PaymentVoided) -> None:
        view.status = VOIDED
        view.cancel_reason = event.reason
