"""Messages that the tests of the context share."""

from __future__ import annotations

from intent_contracts.orders.v1 import (
    ChangeLine,
    Checkout,
    CheckoutStarted,
    LineChanged,
    Money,
    OrderLine,
    OrderPlaced,
    PlaceOrder,
    Receiver,
)

ID = "o-1"
CHECKOUT = Checkout(
    card_token="tok-ok",
    warehouse_id="w-1",
    ship_to=Receiver(name="Ann", street="Elm 1", postal_code="10115", city="Berlin", country="DE"),
)


def eur(minor_units: int) -> Money:
    return Money(minor_units=minor_units, currency="EUR")


def line(line_id: str = "a", quantity: int = 2, price: int = 500, currency: str = "EUR") -> OrderLine:
    unit_price = Money(minor_units=price, currency=currency)
    return OrderLine(line_id=line_id, sku=f"sku-{line_id}", quantity=quantity, unit_price=unit_price)


def place(*lines: OrderLine) -> PlaceOrder:
    return PlaceOrder(order_id=ID, customer_id="ann", lines=lines or [line()])


def placed(*lines: OrderLine) -> OrderPlaced:
    """Return the event of `place` with the same lines."""
    of = lines or (line(),)
    total = sum(each.quantity * each.unit_price.minor_units for each in of)
    currency = of[0].unit_price.currency
    money = Money(minor_units=total, currency=currency)
    return OrderPlaced(customer_id="ann", lines=of, currency=currency, total=money)


def change(line_id: str, quantity: int) -> ChangeLine:
    return ChangeLine(order_id=ID, line_id=line_id, quantity=quantity)


def changed(line_id: str, quantity: int, total: int) -> LineChanged:
    return LineChanged(line_id=line_id, quantity=quantity, total=eur(total))


def checkout_started(*lines: OrderLine) -> CheckoutStarted:
    """Return the event of checking out the order that `placed` with the same lines opened."""
    order = placed(*lines)
    return CheckoutStarted(
        customer_id=order.customer_id, lines=order.lines, total=order.total, checkout=CHECKOUT
    )
