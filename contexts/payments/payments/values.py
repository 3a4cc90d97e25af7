"""Where a payment stands, by short names."""

from __future__ import annotations

from intent_contracts.payments.v1 import PaymentStatus

__all__ = [
    "AUTHORIZED",
    "AUTHORIZING",
    "CANCEL_REFUND_ID",
    "CAPTURED",
    "CAPTURING",
    "DECLINED",
    "REFUNDED",
    "VOIDED",
]

AUTHORIZING = PaymentStatus.PAYMENT_STATUS_AUTHORIZING
"""The provider is asked to hold the amount."""
AUTHORIZED = PaymentStatus.PAYMENT_STATUS_AUTHORIZED
"""The amount is held."""
CAPTURING = PaymentStatus.PAYMENT_STATUS_CAPTURING
"""The provider is asked to charge it."""
CAPTURED = PaymentStatus.PAYMENT_STATUS_CAPTURED
"""It is charged, and not given back in full."""
REFUNDED = PaymentStatus.PAYMENT_STATUS_REFUNDED
"""It is given back in full."""
DECLINED = PaymentStatus.PAYMENT_STATUS_DECLINED
"""The provider declined: nothing is held or charged."""
VOIDED = PaymentStatus.PAYMENT_STATUS_VOIDED
"""It was cancelled: nothing is held or charged."""

CANCEL_REFUND_ID = "@cancel"
"""The id of the refund by which a cancellation gives back; no caller can choose it."""
