"""The read model: one payment with what was charged and given back."""

from __future__ import annotations

from intent.projections.projection import EventMetadata, Projection, projects
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

    @projects
    def authorization_requested(
        self, view: PaymentView, event: AuthorizationRequested, meta: EventMetadata
    ) -> None:
        """Begins the view."""
        view.status = AUTHORIZING
        view.order_id = event.order_id
        view.amount.CopyFrom(event.amount)
        meta.stamp(view.changed_at)

    @projects
    def authorized(self, view: PaymentView, event: PaymentAuthorized, meta: EventMetadata) -> None:
        """Shows it as held."""
        view.status = AUTHORIZED
        meta.stamp(view.changed_at)

    @projects
    def declined(self, view: PaymentView, event: PaymentDeclined, meta: EventMetadata) -> None:
        """Shows it as declined, and why."""
        view.status = DECLINED
        view.decline_code = event.decline_code
        meta.stamp(view.changed_at)

    @projects
    def capture_requested(self, view: PaymentView, event: CaptureRequested, meta: EventMetadata) -> None:
        """Shows that it is being charged."""
        view.status = CAPTURING
        meta.stamp(view.changed_at)

    @projects
    def captured(self, view: PaymentView, event: PaymentCaptured, meta: EventMetadata) -> None:
        """Shows it as charged."""
        view.status = CAPTURED
        view.captured = event.amount.minor_units
        meta.stamp(view.changed_at)

    @projects
    def refund_requested(self, view: PaymentView, event: RefundRequested, meta: EventMetadata) -> None:
        """Tells why it is being undone, when it is."""
        if event.refund_id == CANCEL_REFUND_ID:
            view.cancel_reason = event.reason
        meta.stamp(view.changed_at)

    @projects
    def refunded(self, view: PaymentView, event: PaymentRefunded, meta: EventMetadata) -> None:
        """Adds what was given back."""
        view.refunded += event.amount.minor_units
        if event.in_full:
            view.status = REFUNDED
        meta.stamp(view.changed_at)

    @projects
    def void_requested(self, view: PaymentView, event: VoidRequested, meta: EventMetadata) -> None:
        """Tells why it is being undone."""
        view.cancel_reason = event.reason
        meta.stamp(view.changed_at)

    @projects
    def cancellation_requested(
        self, view: PaymentView, event: CancellationRequested, meta: EventMetadata
    ) -> None:
        """Tells why it is being undone."""
        view.cancel_reason = event.reason
        meta.stamp(view.changed_at)

    @projects
    def voided(self, view: PaymentView, event: PaymentVoided, meta: EventMetadata) -> None:
        """Shows it as cancelled, and why."""
        view.status = VOIDED
        view.cancel_reason = event.reason
        meta.stamp(view.changed_at)
