"""The commands by which one order is fulfilled, to all four contexts.

The reservation, the payment and the parcel of an order have the id of the order.
"""

from __future__ import annotations

from intent_contracts.inventory.v1 import ReceiveStock, ReleaseStock, ReserveStock, ShipOutStock, StockLine
from intent_contracts.orders.v1 import (
    AbandonOrder,
    CheckoutStarted,
    CompleteOrder,
    ConfirmOrder,
    ShipOrder,
)
from intent_contracts.payments.v1 import AuthorizePayment, CancelPayment, CapturePayment
from intent_contracts.payments.v1 import Money as Amount
from intent_contracts.shipping.v1 import Address, ArrangeParcel, CancelParcel

__all__ = ["Fulfilment"]

_REASON_LIMIT = 500


class Fulfilment:
    """The commands for one order.

    Args:
        order_id: The order.
        started: Its checkout.
    """

    def __init__(self, order_id: str, started: CheckoutStarted) -> None:
        self._id = order_id
        self._started = started
        self._warehouse = started.checkout.warehouse_id

    @property
    def lines(self) -> list[StockLine]:
        """The goods to take from the warehouse; order lines of one article add up."""
        quantities: dict[str, int] = {}
        for line in self._started.lines:
            quantities[line.sku] = quantities.get(line.sku, 0) + line.quantity
        return [StockLine(sku=sku, quantity=quantity) for sku, quantity in quantities.items()]

    def reserve(self) -> ReserveStock:
        """Return the command that reserves the goods."""
        return ReserveStock(
            warehouse_id=self._warehouse, reservation_id=self._id, order_id=self._id, lines=self.lines
        )

    def release(self) -> ReleaseStock:
        """Return the command that releases the goods."""
        return ReleaseStock(warehouse_id=self._warehouse, reservation_id=self._id)

    def ship_out(self) -> ShipOutStock:
        """Return the command that takes the goods out of the warehouse."""
        return ShipOutStock(warehouse_id=self._warehouse, reservation_id=self._id)

    def put_back(self) -> ReceiveStock:
        """Return the command that puts goods that came back into the warehouse."""
        return ReceiveStock(warehouse_id=self._warehouse, lines=self.lines)

    def authorize(self) -> AuthorizePayment:
        """Return the command that has the total held on the card."""
        total = self._started.total
        amount = Amount(minor_units=total.minor_units, currency=total.currency)
        return AuthorizePayment(
            payment_id=self._id,
            order_id=self._id,
            amount=amount,
            card_token=self._started.checkout.card_token,
            customer_id=self._started.customer_id,
        )

    def capture(self) -> CapturePayment:
        """Return the command that has the total charged."""
        return CapturePayment(payment_id=self._id)

    def cancel_payment(self) -> CancelPayment:
        """Return the command that undoes the payment, whatever its status."""
        return CancelPayment(payment_id=self._id, reason="the order was not fulfilled")

    def arrange(self) -> ArrangeParcel:
        """Return the command that arranges the parcel."""
        to = self._started.checkout.ship_to
        address = Address(
            name=to.name, street=to.street, postal_code=to.postal_code, city=to.city, country=to.country
        )
        articles = sum(line.quantity for line in self._started.lines)
        return ArrangeParcel(
            parcel_id=self._id,
            order_id=self._id,
            ship_to=address,
            articles=articles,
            customer_id=self._started.customer_id,
        )

    def cancel_parcel(self) -> CancelParcel:
        """Return the command that stops the parcel, unless it left."""
        return CancelParcel(parcel_id=self._id, reason="the order is not fulfilled")

    def confirm(self) -> ConfirmOrder:
        """Return the command that closes the order to changes."""
        return ConfirmOrder(order_id=self._id)

    def ship(self) -> ShipOrder:
        """Return the command that closes the order to cancellations."""
        return ShipOrder(order_id=self._id)

    def complete(self) -> CompleteOrder:
        """Return the command that completes the order."""
        return CompleteOrder(order_id=self._id)

    def abandon(self, reason: str) -> AbandonOrder:
        """Return the command that cancels the order because it cannot be fulfilled."""
        return AbandonOrder(order_id=self._id, reason=reason[:_REASON_LIMIT])
