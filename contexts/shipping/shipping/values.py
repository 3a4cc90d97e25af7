"""Where a parcel stands, by short names."""

from __future__ import annotations

from intent_contracts.shipping.v1 import ParcelStatus

__all__ = ["ARRANGED", "BOOKED", "CANCELLED", "DELIVERED", "HANDED_OVER", "PLACED", "RETURNED"]

ARRANGED = ParcelStatus.PARCEL_STATUS_ARRANGED
"""Wanted; the carrier is being asked."""
BOOKED = ParcelStatus.PARCEL_STATUS_BOOKED
"""The carrier will fetch it."""
HANDED_OVER = ParcelStatus.PARCEL_STATUS_HANDED_OVER
"""The carrier has it."""
DELIVERED = ParcelStatus.PARCEL_STATUS_DELIVERED
"""The receiver has it."""
RETURNED = ParcelStatus.PARCEL_STATUS_RETURNED
"""It came back."""
CANCELLED = ParcelStatus.PARCEL_STATUS_CANCELLED
"""It was given up before the carrier had it."""

PLACED = "placed"
"""Where an order stands of which nothing but its being placed is noted."""
