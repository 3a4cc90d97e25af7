"""What fulfilling one order asks of the four contexts, as commands.

Every id is the order's: a reservation, a payment and a parcel belong to one order.
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
        """What is taken from the warehouse; order lines of one article add up."""
        quantities: dict[str, int] = {}
        for line in self._started.lines:
            quantities[line.sku] = quantities.get(line.sku, 0) + line.quantity
        return [StockLine(sku=sku, quantity=quantity) for sku, quantity in quantities.items()]

    def reserve(self) -> ReserveStock:
        """Holds the goods."""
        return ReserveStock(
            warehouse_id=self._warehouse, reservation_id=self._id, order_id=self._id, lines=self.lines
        )

    def release(self) -> ReleaseStock:
        """Gives up the goods."""
        return ReleaseStock(warehouse_id=self._warehouse, reservation_id=self._id)

    def ship_out(self) -> ShipOutStock:
        """Takes the goods out of the warehouse."""
        return ShipOutStock(warehouse_id=self._warehouse, reservation_id=self._id)

    def put_back(self) -> ReceiveStock:
        """Takes goods that came back into the warehouse."""
        return ReceiveStock(warehouse_id=self._warehouse, lines=self.lines)

    def authorize(self) -> AuthorizePayment:
        """Has the sum held on the card."""
        total = self._started.total
        amount = Amount(minor_units=total.minor_units, currency=total.currency)
        return AuthorizePayment(
            payment_id=self._id,
            order_id=self._id,
            amount=amount,
            card_token=self._started.checkout.card_token,
        )

    def capture(self) -> CapturePayment:
        """Has the sum charged."""
        return CapturePayment(payment_id=self._id)

    def cancel_payment(self) -> CancelPayment:
        """Undoes the payment, however far it is."""
        return CancelPayment(payment_id=self._id, reason="the order was not fulfilled")

    def arrange(self) -> ArrangeParcel:
        """Has a carrier asked."""
        to = self._started.checkout.ship_to
        address = Address(
            name=to.name, street=to.street, postal_code=to.postal_code, city=to.city, country=to.country
        )
        articles = sum(line.quantity for line in self._started.lines)
        return ArrangeParcel(parcel_id=self._id, order_id=self._id, ship_to=address, articles=articles)

    def cancel_parcel(self) -> CancelParcel:
        """Stops the parcel, unless it left."""
        return CancelParcel(parcel_id=self._id, reason="the order is not fulfilled")

    def confirm(self) -> ConfirmOrder:
        """Closes the order to changes."""
        return ConfirmOrder(order_id=self._id)

    def ship(self) -> ShipOrder:
        """Closes the order to cancellations."""
        return ShipOrder(order_id=self._id)

    def complete(self) -> CompleteOrder:
        """Ends the order well."""
        return CompleteOrder(order_id=self._id)

    def abandon(self, reason: str) -> AbandonOrder:
        """Ends the order as cancelled."""
        return AbandonOrder(order_id=self._id, reason=reason[:_REASON_LIMIT])
