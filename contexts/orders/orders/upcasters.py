"""The upcasters of events of older schema versions."""

from __future__ import annotations

from intent.model import upcasts
from intent_contracts.orders.v1 import OrderPlaced

from orders.values import sum_of

__all__ = ["with_currency"]

_FIRST_CURRENCY = "EUR"


@upcasts(from_version=1)
def with_currency(old: OrderPlaced) -> OrderPlaced:
    """Add what version 1 lacks: the currency of its prices, which were euro cents, and their total."""
    for line in old.lines:
        line.unit_price.currency = _FIRST_CURRENCY
    old.currency = _FIRST_CURRENCY
    old.total.minor_units = sum_of(old.lines)
    old.total.currency = _FIRST_CURRENCY
    return old
