"""The statuses of a parcel, by short names."""

from __future__ import annotations

from intent_contracts.shipping.v1 import ParcelStatus

__all__ = ["ARRANGED", "BOOKED", "CANCELLED", "DELIVERED", "HANDED_OVER", "PLACED", "RETURNED"]

ARRANGED = ParcelStatus.PARCEL_STATUS_ARRANGED
"""Requested; the carrier has not answered yet."""
BOOKED = ParcelStatus.PARCEL_STATUS_BOOKED
"""The carrier will fetch it."""
HANDED_OVER = ParcelStatus.PARCEL_STATUS_HANDED_OVER
"""The carrier has it."""
DELIVERED = ParcelStatus.PARCEL_STATUS_DELIVERED
"""The receiver has it."""
RETURNED = ParcelStatus.PARCEL_STATUS_RETURNED
"""It came back."""
CANCELLED = ParcelStatus.PARCEL_STATUS_CANCELLED
"""It was cancelled before the carrier had it."""

PLACED = "placed"
"""The status of an order of which only the lines are noted."""
