"""What several parts of the context share: the statuses of an order, and its lines."""

from __future__ import annotations

from collections.abc import Iterable, MutableSequence

from intent_contracts.orders.v1 import OrderLine, OrderStatus

__all__ = [
    "CANCELLED",
    "CANCELLING",
    "CHECKING_OUT",
    "COMPLETED",
    "CONFIRMED",
    "OPEN",
    "SHIPPED",
    "find_line",
    "set_quantity",
    "status_name",
    "sum_of",
]

OPEN = OrderStatus.ORDER_STATUS_OPEN
"""Placed; its lines may change."""
CHECKING_OUT = OrderStatus.ORDER_STATUS_CHECKING_OUT
"""Its lines are fixed; stock is being reserved and the payment authorized."""
CONFIRMED = OrderStatus.ORDER_STATUS_CONFIRMED
"""Its lines are fixed."""
CANCELLING = OrderStatus.ORDER_STATUS_CANCELLING
"""Its parcel is being stopped, unless the carrier has it already."""
SHIPPED = OrderStatus.ORDER_STATUS_SHIPPED
"""The carrier has the goods; it can no longer be cancelled."""
COMPLETED = OrderStatus.ORDER_STATUS_COMPLETED
"""Delivered and paid; nothing may happen any more."""
CANCELLED = OrderStatus.ORDER_STATUS_CANCELLED
"""Nothing may happen any more."""


def status_name(status: OrderStatus.ValueType) -> str:
    """Return a status as words for a sentence, e.g. ``checking out``."""
    return OrderStatus.Name(status).removeprefix("ORDER_STATUS_").lower().replace("_", " ")


def sum_of(lines: Iterable[OrderLine]) -> int:
    """Return the total of the lines in minor units; the lines have one currency."""
    return sum(line.quantity * line.unit_price.minor_units for line in lines)


def find_line(lines: Iterable[OrderLine], line_id: str) -> OrderLine | None:
    """Return the line with this id, or None."""
    return next((line for line in lines if line.line_id == line_id), None)


def set_quantity(lines: MutableSequence[OrderLine], line_id: str, quantity: int) -> None:
    """Set the quantity of a line that exists; 0 removes the line."""
    for index, line in enumerate(lines):
        if line.line_id == line_id:
            if quantity:
                line.quantity = quantity
            else:
                del lines[index]
            return
