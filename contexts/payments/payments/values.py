"""The statuses of a payment, by short names."""

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
"""The provider is to hold the amount."""
AUTHORIZED = PaymentStatus.PAYMENT_STATUS_AUTHORIZED
"""The amount is held."""
CAPTURING = PaymentStatus.PAYMENT_STATUS_CAPTURING
"""The provider is to charge it."""
CAPTURED = PaymentStatus.PAYMENT_STATUS_CAPTURED
"""It is charged, and not refunded in full."""
REFUNDED = PaymentStatus.PAYMENT_STATUS_REFUNDED
"""It is refunded in full."""
DECLINED = PaymentStatus.PAYMENT_STATUS_DECLINED
"""The provider declined: nothing is held or charged."""
VOIDED = PaymentStatus.PAYMENT_STATUS_VOIDED
"""It was cancelled: nothing is held or charged."""

CANCEL_REFUND_ID = "@cancel"
"""The id of the refund that a cancellation requests; no caller can choose it."""
