"""The ports of the context: a payment provider."""

from __future__ import annotations

from intent.model import Port
from intent_contracts.payments.v1 import ChargeAnswer, ChargeCall

__all__ = ["CHARGE"]

CHARGE = Port("charge", ChargeCall, ChargeAnswer)
"""A payment provider.

It performs each action once under its idempotency key. It voids an authorization by the key
under which the authorization is requested, and declines the request when it arrives only later.
"""
