"""The read model: one payment with what was charged and given back."""

from __future__ import annotations

from intent.model import EventMetadata, Projection, projects
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

    def after(self, view: PaymentView, meta: EventMetadata) -> None:
        """Tells when it last changed."""
        meta.stamp(view.changed_at)

    @projects
    def authorization_requested(self, view: PaymentView, event: AuthorizationRequested) -> None:
        """Begins the view."""
        view.status = AUTHORIZING
        view.order_id = event.order_id
        view.amount.CopyFrom(event.amount)

    @projects
    def authorized(self, view: PaymentView, event: PaymentAuthorized) -> None:
        """Shows it as held."""
        view.status = AUTHORIZED

    @projects
    def declined(self, view: PaymentView, event: PaymentDeclined) -> None:
        """Shows it as declined, and why."""
        view.status = DECLINED
        view.decline_code = event.decline_code

    @projects
    def capture_requested(self, view: PaymentView, event: CaptureRequested) -> None:
        """Shows that it is being charged."""
        view.status = CAPTURING

    @projects
    def captured(self, view: PaymentView, event: PaymentCaptured) -> None:
        """Shows it as charged."""
        view.status = CAPTURED
        view.captured = event.amount.minor_units

    @projects
    def refund_requested(self, view: PaymentView, event: RefundRequested) -> None:
        """Tells why it is being undone, when it is."""
        if event.refund_id == CANCEL_REFUND_ID:
            view.cancel_reason = event.reason

    @projects
    def refunded(self, view: PaymentView, event: PaymentRefunded) -> None:
        """Adds what was given back."""
        view.refunded += event.amount.minor_units
        if event.in_full:
            view.status = REFUNDED

    @projects
    def void_requested(self, view: PaymentView, event: VoidRequested) -> None:
        """Tells why it is being undone."""
        view.cancel_reason = event.reason

    @projects
    def cancellation_requested(self, view: PaymentView, event: CancellationRequested) -> None:
        """Tells why it is being undone."""
        view.cancel_reason = event.reason

    @projects
    def voided(self, view: PaymentView, event: PaymentVoided) -> None:
        """Shows it as cancelled, and why."""
        view.status = VOIDED
        view.cancel_reason = event.reason
