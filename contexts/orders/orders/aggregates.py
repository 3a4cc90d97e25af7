"""The Order: placed with its lines, changed while it is open, then confirmed or cancelled."""

from __future__ import annotations

from intent.domain import Aggregate, applies, handles
from intent_contracts.orders.v1 import (
    CancelOrder,
    ChangeLine,
    ConfirmOrder,
    LineChanged,
    Money,
    OrderCancelled,
    OrderConfirmed,
    OrderPlaced,
    OrderState,
    PlaceOrder,
)

from orders.values import CANCELLED, CONFIRMED, OPEN, find_line, set_quantity, status_name, sum_of

__all__ = ["TOTAL_LIMIT", "Order"]

TOTAL_LIMIT = 1_000_000_000_000
"""The largest sum of an order, in minor units: what the contract allows for any `Money`."""


class Order(Aggregate[OrderState]):
    """What a customer ordered.

    Its rules, by reason:

    ORDER_ALREADY_PLACED      there is an order with this id
    DUPLICATE_LINE            several lines have the same id
    MIXED_CURRENCIES          the lines are priced in several currencies
    ORDER_TOTAL_TOO_LARGE     the sum is above `TOTAL_LIMIT`
    ORDER_NOT_FOUND           there is no order with this id
    ORDER_NOT_OPEN            a line can change only until the order is confirmed or cancelled
    ORDER_LINE_NOT_FOUND      there is no line with this id
    LAST_LINE                 the only line cannot be removed; cancel the order instead
    ORDER_ALREADY_CONFIRMED   it was confirmed before
    ORDER_CANCELLED           a cancelled order cannot be confirmed
    ORDER_ALREADY_CANCELLED   it was cancelled before

    Setting a line to the quantity that it has succeeds and records nothing: what the caller
    wants is so already. A confirmed order can still be cancelled.
    """

    @handles
    def place(self, command: PlaceOrder) -> OrderPlaced:
        """Opens the order with its first lines."""
        self.reject_if(self.exists, "ORDER_ALREADY_PLACED", "order {id} was placed before")
        self._check_lines(command)
        currency = command.lines[0].unit_price.currency
        total = self._total(sum_of(command.lines), currency)
        return OrderPlaced(
            customer_id=command.customer_id, lines=command.lines, currency=currency, total=total
        )

    @handles
    def change_line(self, command: ChangeLine) -> LineChanged | None:
        """Sets the quantity of a line; 0 removes it."""
        self.require_exists()
        self._require_open()
        line = find_line(self.state.lines, command.line_id)
        if line is None:
            self.reject("ORDER_LINE_NOT_FOUND", "order {id} has no line {line_id}", line_id=command.line_id)
        if line.quantity == command.quantity:
            return None
        self.reject_if(
            command.quantity == 0 and len(self.state.lines) == 1,
            "LAST_LINE",
            "line {line_id} is the only line of order {id}; cancel the order instead",
            line_id=command.line_id,
        )
        change = (command.quantity - line.quantity) * line.unit_price.minor_units
        total = self._total(self.state.total.minor_units + change, self.state.total.currency)
        return LineChanged(line_id=command.line_id, quantity=command.quantity, total=total)

    @handles
    def confirm(self, command: ConfirmOrder) -> OrderConfirmed:
        """Closes the order to changes."""
        self.require_exists()
        status = self.state.status
        self.reject_if(
            status == CONFIRMED,
            "ORDER_ALREADY_CONFIRMED",
            "order {id} was confirmed before",
        )
        self.reject_if(status == CANCELLED, "ORDER_CANCELLED", "order {id} is cancelled")
        return OrderConfirmed(total=self.state.total)

    @handles
    def cancel(self, command: CancelOrder) -> OrderCancelled:
        """Ends the order without effect, also after it was confirmed."""
        self.require_exists()
        self.reject_if(
            self.state.status == CANCELLED,
            "ORDER_ALREADY_CANCELLED",
            "order {id} was cancelled before",
        )
        return OrderCancelled(reason=command.reason)

    @applies
    def placed(self, event: OrderPlaced) -> None:
        """Opens it."""
        self.state.status = OPEN
        self.state.customer_id = event.customer_id
        self.state.lines.extend(event.lines)
        self.state.total.CopyFrom(event.total)

    @applies
    def line_changed(self, event: LineChanged) -> None:
        """Sets the line."""
        set_quantity(self.state.lines, event.line_id, event.quantity)
        self.state.total.CopyFrom(event.total)

    @applies
    def confirmed(self, event: OrderConfirmed) -> None:
        """Closes it to changes."""
        self.state.status = CONFIRMED

    @applies
    def cancelled(self, event: OrderCancelled) -> None:
        """Ends it."""
        self.state.status = CANCELLED

    def _check_lines(self, command: PlaceOrder) -> None:
        line_ids = [line.line_id for line in command.lines]
        if len(set(line_ids)) < len(line_ids):
            twice = next(line_id for line_id in line_ids if line_ids.count(line_id) > 1)
            self.reject("DUPLICATE_LINE", "several lines have the id {line_id}", line_id=twice)
        currencies = {line.unit_price.currency for line in command.lines}
        if len(currencies) > 1:
            self.reject(
                "MIXED_CURRENCIES",
                "the lines are priced in {currencies}; an order has one currency",
                currencies=", ".join(sorted(currencies)),
            )

    def _require_open(self) -> None:
        if self.state.status != OPEN:
            self.reject(
                "ORDER_NOT_OPEN",
                "order {id} is {status}; its lines can no longer change",
                status=status_name(self.state.status),
            )

    def _total(self, minor_units: int, currency: str) -> Money:
        self.reject_if(
            minor_units > TOTAL_LIMIT,
            "ORDER_TOTAL_TOO_LARGE",
            "the sum of order {id} would be {total} minor units, at most {limit} are possible",
            total=minor_units,
            limit=TOTAL_LIMIT,
        )
        return Money(minor_units=minor_units, currency=currency)
