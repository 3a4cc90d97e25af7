"""The Order: placed with its lines, changed while it is open, checked out, then fulfilled or cancelled."""

from __future__ import annotations

from intent.model import Aggregate, applies, handles
from intent_contracts.orders.v1 import (
    AbandonOrder,
    CancellationRequested,
    CancelOrder,
    ChangeLine,
    Checkout,
    CheckOutOrder,
    CheckoutStarted,
    CompleteOrder,
    ConfirmOrder,
    LineChanged,
    Money,
    OrderCancelled,
    OrderCompleted,
    OrderConfirmed,
    OrderPlaced,
    OrderShipped,
    OrderState,
    OrderStatus,
    PlaceOrder,
    Reason,
    ShipOrder,
)

from orders.values import (
    CANCELLED,
    CANCELLING,
    CHECKING_OUT,
    COMPLETED,
    CONFIRMED,
    OPEN,
    SHIPPED,
    find_line,
    set_quantity,
    status_name,
    sum_of,
)

__all__ = ["TOTAL_LIMIT", "Order"]

TOTAL_LIMIT = 1_000_000_000_000
"""The largest sum of an order, in minor units: what the contract allows for any `Money`."""

_TOO_LATE = {
    CONFIRMED: Reason.ORDER_CONFIRMED,
    CANCELLING: Reason.ORDER_CANCELLING,
    SHIPPED: Reason.ORDER_SHIPPED,
    COMPLETED: Reason.ORDER_COMPLETED,
    CANCELLED: Reason.ORDER_CANCELLED,
}
"""Why a step is no longer possible, by the status of the order."""


class Order(Aggregate[OrderState]):
    """What a customer ordered.

    Its rules, by reason:

    ORDER_ALREADY_PLACED      there is an order with this id
    DUPLICATE_LINE            several lines have the same id
    MIXED_CURRENCIES          the lines are priced in several currencies
    ORDER_TOTAL_TOO_LARGE     the sum is above `TOTAL_LIMIT`
    ORDER_NOT_FOUND           there is no order with this id
    ORDER_NOT_OPEN            a line can change only while the order is open
    ORDER_LINE_NOT_FOUND      there is no line with this id
    LAST_LINE                 the only line cannot be removed; cancel the order instead

    A step that the status of the order does not allow is rejected, for a reason that names the
    status. Too early:

    ORDER_NOT_CHECKED_OUT     there is no checkout that could be abandoned
    ORDER_NOT_CONFIRMED       only a confirmed order is shipped
    ORDER_NOT_SHIPPED         only a shipped order is completed

    Too late, or again:

    ORDER_ALREADY_CHECKED_OUT, ORDER_ALREADY_CONFIRMED, ORDER_ALREADY_CANCELLING,
    ORDER_ALREADY_SHIPPED, ORDER_ALREADY_COMPLETED, ORDER_ALREADY_CANCELLED: this was done before;
    ORDER_CONFIRMED, ORDER_CANCELLING, ORDER_SHIPPED, ORDER_COMPLETED, ORDER_CANCELLED: this is
    no longer possible.

    Setting a line to the quantity that it has already succeeds and records nothing.

    A confirmed order can still be cancelled. If it was checked out, its parcel may be with the
    carrier by now, which only the fulfilment can find out: the order is `CANCELLING` until
    then, and becomes cancelled, or shipped after all. So an order whose goods left is never
    shown as cancelled by mistake.
    """

    @handles
    def place(self, command: PlaceOrder) -> tuple[OrderPlaced, CheckoutStarted] | OrderPlaced:
        """Open the order with its first lines, and check it out at once if the command says so."""
        self.reject_if(self.exists, Reason.ORDER_ALREADY_PLACED, "order {id} was placed before")
        self._check_lines(command)
        currency = command.lines[0].unit_price.currency
        total = self._total(sum_of(command.lines), currency)
        placed = OrderPlaced(
            customer_id=command.customer_id, lines=command.lines, currency=currency, total=total
        )
        if not command.HasField("checkout"):
            return placed
        return placed, _checkout_of(placed, command.checkout)

    @handles
    def change_line(self, command: ChangeLine) -> LineChanged | None:
        """Set the quantity of a line; 0 removes it."""
        self.require_exists()
        self._require_open()
        line = find_line(self.state.lines, command.line_id)
        if line is None:
            self.reject(
                Reason.ORDER_LINE_NOT_FOUND, "order {id} has no line {line_id}", line_id=command.line_id
            )
        if line.quantity == command.quantity:
            return None
        self.reject_if(
            command.quantity == 0 and len(self.state.lines) == 1,
            Reason.LAST_LINE,
            "line {line_id} is the only line of order {id}; cancel the order instead",
            line_id=command.line_id,
        )
        change = (command.quantity - line.quantity) * line.unit_price.minor_units
        total = self._total(self.state.total.minor_units + change, self.state.total.currency)
        return LineChanged(line_id=command.line_id, quantity=command.quantity, total=total)

    @handles
    def check_out(self, command: CheckOutOrder) -> CheckoutStarted:
        """Start the fulfilment of the order with its current lines."""
        self.require_exists()
        self._refuse_in(CHECKING_OUT, Reason.ORDER_ALREADY_CHECKED_OUT)
        self._refuse_late(CONFIRMED, CANCELLING, SHIPPED, COMPLETED, CANCELLED)
        return _checkout_of(self.state, command.checkout)

    @handles
    def confirm(self, command: ConfirmOrder) -> OrderConfirmed:
        """Close the order to changes."""
        self.require_exists()
        self._refuse_in(CONFIRMED, Reason.ORDER_ALREADY_CONFIRMED)
        self._refuse_late(CANCELLING, SHIPPED, COMPLETED, CANCELLED)
        return OrderConfirmed(total=self.state.total)

    @handles
    def cancel(self, command: CancelOrder) -> OrderCancelled | CancellationRequested:
        """Cancel the order, or request it when its parcel has to be stopped first."""
        self.require_exists()
        self._refuse_in(CANCELLED, Reason.ORDER_ALREADY_CANCELLED)
        self._refuse_in(CANCELLING, Reason.ORDER_ALREADY_CANCELLING)
        self._refuse_late(SHIPPED, COMPLETED)
        if self.state.status == CONFIRMED and self.state.checked_out:
            return CancellationRequested(reason=command.reason)
        return OrderCancelled(reason=command.reason)

    @handles
    def ship(self, command: ShipOrder) -> OrderShipped:
        """Record that the goods are under way; a cancellation that is still undecided came too late."""
        self.require_exists()
        early = self.state.status in (OPEN, CHECKING_OUT)
        self.reject_if(early, Reason.ORDER_NOT_CONFIRMED, "order {id} is not confirmed yet")
        self._refuse_in(SHIPPED, Reason.ORDER_ALREADY_SHIPPED)
        self._refuse_late(COMPLETED, CANCELLED)
        return OrderShipped(refused_cancellation=self.state.cancel_reason)

    @handles
    def complete(self, command: CompleteOrder) -> OrderCompleted:
        """Complete the order."""
        self.require_exists()
        self._refuse_in(COMPLETED, Reason.ORDER_ALREADY_COMPLETED)
        self._refuse_late(CANCELLED)
        self.reject_if(
            self.state.status != SHIPPED, Reason.ORDER_NOT_SHIPPED, "order {id} is not shipped yet"
        )
        return OrderCompleted()

    @handles
    def abandon(self, command: AbandonOrder) -> OrderCancelled:
        """Cancel an order that cannot be fulfilled, for the customer's reason if there is one."""
        self.require_exists()
        self._refuse_in(CANCELLED, Reason.ORDER_ALREADY_CANCELLED)
        self._refuse_late(COMPLETED)
        self.reject_if(
            not self.state.checked_out, Reason.ORDER_NOT_CHECKED_OUT, "order {id} was never checked out"
        )
        return OrderCancelled(reason=self.state.cancel_reason or command.reason)

    @applies
    def placed(self, event: OrderPlaced) -> None:
        self.state.status = OPEN
        self.state.customer_id = event.customer_id
        self.state.lines.extend(event.lines)
        self.state.total.CopyFrom(event.total)

    @applies
    def line_changed(self, event: LineChanged) -> None:
        set_quantity(self.state.lines, event.line_id, event.quantity)
        self.state.total.CopyFrom(event.total)

    @applies
    def confirmed(self, event: OrderConfirmed) -> None:
        self.state.status = CONFIRMED

    @applies
    def cancelled(self, event: OrderCancelled) -> None:
        self.state.status = CANCELLED

    @applies
    def checkout_started(self, event: CheckoutStarted) -> None:
        """Fix its lines."""
        self.state.status = CHECKING_OUT
        self.state.checked_out = True

    @applies
    def cancellation_requested(self, event: CancellationRequested) -> None:
        """Leave open whether it is cancelled or shipped."""
        self.state.status = CANCELLING
        self.state.cancel_reason = event.reason

    @applies
    def shipped(self, event: OrderShipped) -> None:
        """Close it to cancellations."""
        self.state.status = SHIPPED
        self.state.ClearField("cancel_reason")

    @applies
    def completed(self, event: OrderCompleted) -> None:
        self.state.status = COMPLETED

    def _check_lines(self, command: PlaceOrder) -> None:
        line_ids = [line.line_id for line in command.lines]
        if len(set(line_ids)) < len(line_ids):
            twice = next(line_id for line_id in line_ids if line_ids.count(line_id) > 1)
            self.reject(Reason.DUPLICATE_LINE, "several lines have the id {line_id}", line_id=twice)
        currencies = {line.unit_price.currency for line in command.lines}
        if len(currencies) > 1:
            self.reject(
                Reason.MIXED_CURRENCIES,
                "the lines are priced in {currencies}; an order has one currency",
                currencies=", ".join(sorted(currencies)),
            )

    def _require_open(self) -> None:
        if self.state.status != OPEN:
            self.reject(
                Reason.ORDER_NOT_OPEN,
                "order {id} is {status}; its lines can no longer change",
                status=status_name(self.state.status),
            )

    def _refuse_in(self, status: OrderStatus.ValueType, reason: Reason) -> None:
        words = status_name(status)
        self.reject_if(self.state.status == status, reason, "order {id} is already {status}", status=words)

    def _refuse_late(self, *statuses: OrderStatus.ValueType) -> None:
        status = self.state.status
        if status in statuses:
            self.reject(_TOO_LATE[status], "order {id} is {status}", status=status_name(status))

    def _total(self, minor_units: int, currency: str) -> Money:
        self.reject_if(
            minor_units > TOTAL_LIMIT,
            Reason.ORDER_TOTAL_TOO_LARGE,
            "the sum of order {id} would be {total} minor units, at most {limit} are possible",
            total=minor_units,
            limit=TOTAL_LIMIT,
        )
        return Money(minor_units=minor_units, currency=currency)


def _checkout_of(order: OrderPlaced | OrderState, checkout: Checkout) -> CheckoutStarted:
    return CheckoutStarted(
        customer_id=order.customer_id, lines=order.lines, total=order.total, checkout=checkout
    )
