"""What the context asks of the world outside: a payment provider."""

from __future__ import annotations

from intent.model import Port
from intent_contracts.payments.v1 import ChargeAnswer, ChargeCall

__all__ = ["CHARGE"]

CHARGE = Port("charge", ChargeCall, ChargeAnswer)
"""A payment provider.

It does each action once under its idempotency key. It lets go of an authorization by the key
under which it was asked for, and declines it when it comes only later.
"""
