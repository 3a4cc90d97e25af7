"""The outcome of a run, and whether it adds up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from intent_contracts.inventory.v1 import StockItem
from intent_contracts.orders.v1 import OrderStatus, OrderView
from intent_contracts.payments.v1 import PaymentStatus, PaymentView
from intent_contracts.shipping.v1 import ParcelStatus, ParcelView

from demo.plan import Plan, Wish
from demo.world import Shop

__all__ = ["FINAL", "Books", "Outcome", "read_books"]

COMPLETED = OrderStatus.ORDER_STATUS_COMPLETED
CANCELLED = OrderStatus.ORDER_STATUS_CANCELLED
FINAL = frozenset({COMPLETED, CANCELLED})
"""The statuses of an order for which nothing happens any more."""
_DELIVERED = ParcelStatus.PARCEL_STATUS_DELIVERED
_CAPTURED = PaymentStatus.PAYMENT_STATUS_CAPTURED
_FREE = frozenset(
    {
        PaymentStatus.PAYMENT_STATUS_VOIDED,
        PaymentStatus.PAYMENT_STATUS_DECLINED,
        PaymentStatus.PAYMENT_STATUS_REFUNDED,
    }
)
"""The statuses of a payment of which nothing is held or charged."""


class Outcome(Enum):
    """The outcome of an order."""

    DELIVERED = "delivered and paid"
    OUT_OF_STOCK = "out of stock"
    DECLINED = "card declined"
    REGRETTED = "cancelled by the customer"
    RETURNED = "came back, refunded"
    UNCHARGED = "left, could not be charged"
    OTHER = "cancelled otherwise"
    OPEN = "not at its end"


@dataclass(frozen=True, slots=True)
class Books:
    """One tenant's orders, and their state in the other contexts.

    Attributes:
        tenant: The tenant.
        wishes: The planned orders, by order id.
        received: The quantities that came into the warehouse, by article.
        orders: The orders.
        payments: Their payments.
        parcels: Their parcels.
        stock: The current stock of the warehouse, by article.
    """

    tenant: str
    wishes: Mapping[str, Wish]
    received: Mapping[str, int]
    orders: Mapping[str, OrderView]
    payments: Mapping[str, PaymentView]
    parcels: Mapping[str, ParcelView]
    stock: Mapping[str, StockItem]

    def outcomes(self) -> Counter[Outcome]:
        """Return the number of orders with each outcome."""
        return Counter(self._outcome(order_id) for order_id in self.wishes)

    def charged(self) -> int:
        """Return the amount that was charged and not refunded, in cents."""
        return sum(payment.captured - payment.refunded for payment in self.payments.values())

    def sold(self) -> int:
        """Return the total of the completed orders, in cents."""
        return sum(order.total.minor_units for order in self.orders.values() if order.status == COMPLETED)

    def left(self) -> int:
        """Return the number of articles that were delivered."""
        return sum(self.wishes[order_id].quantities.total() for order_id in self._gone)

    def problems(self) -> list[str]:
        """Return what does not add up, in sentences; an empty list when everything does."""
        return [*self._order_problems(), *self._stock_problems()]

    def _outcome(self, order_id: str) -> Outcome:
        order = self.orders.get(order_id)
        if order is None or order.status not in FINAL:
            return Outcome.OPEN
        if order.status == COMPLETED:
            return Outcome.DELIVERED
        payment = self.payments.get(order_id)
        if payment is not None and payment.decline_code:
            return Outcome.UNCHARGED if order_id in self._gone else Outcome.DECLINED
        if order_id in self.parcels and order.cancel_reason.startswith("PARCEL_RETURNED"):
            return Outcome.RETURNED
        if order.cancel_reason.startswith("OUT_OF_STOCK"):
            return Outcome.OUT_OF_STOCK
        regretted = self.wishes[order_id].cancel_after is not None
        return Outcome.REGRETTED if regretted else Outcome.OTHER

    @property
    def _gone(self) -> set[str]:
        """The orders whose goods were delivered."""
        return {order_id for order_id, parcel in self.parcels.items() if parcel.status == _DELIVERED}

    def _order_problems(self) -> Iterator[str]:
        for order_id in self.wishes:
            order = self.orders.get(order_id)
            if order is None:
                yield f"order {order_id} is missing"
            elif order.status not in FINAL:
                yield f"order {order_id} is not at its end: {OrderStatus.Name(order.status)}"
            elif order.status == COMPLETED:
                yield from self._completed_problems(order)
            else:
                yield from self._cancelled_problems(order)

    def _completed_problems(self, order: OrderView) -> Iterator[str]:
        total, payment = order.total.minor_units, self.payments.get(order.order_id)
        charged = payment is not None and (payment.captured, payment.refunded) == (total, 0)
        if payment is None or not charged or payment.status != _CAPTURED:
            yield f"order {order.order_id} is completed, but {total} cents are not charged exactly once"
        if order.order_id not in self._gone:
            yield f"order {order.order_id} is completed, but its parcel is not delivered"

    def _cancelled_problems(self, order: OrderView) -> Iterator[str]:
        payment = self.payments.get(order.order_id)
        if payment is None:
            return
        kept = payment.captured - payment.refunded
        if kept:
            yield f"order {order.order_id} is cancelled, but {kept} cents are kept"
        elif payment.status not in _FREE:
            status = PaymentStatus.Name(payment.status)
            yield f"order {order.order_id} is cancelled, but its payment is {status}"

    def _stock_problems(self) -> Iterator[str]:
        taken: Counter[str] = Counter()
        for order_id in self._gone:
            taken.update(self.wishes[order_id].quantities)
        for sku, received in self.received.items():
            item = self.stock.get(sku, StockItem())
            if item.reserved:
                yield f"{item.reserved} of {sku} are still reserved"
            if item.on_hand != received - taken[sku]:
                yield f"{received} of {sku} came in and {taken[sku]} left, but {item.on_hand} are there"


async def read_books(shop: Shop, plan: Plan) -> Books:
    """Read the books of a tenant from the four contexts."""
    wishes = {wish.command.order_id: wish for wish in plan.wishes if wish.tenant == shop.tenant}
    ids: Sequence[str] = list(wishes)
    return Books(
        tenant=shop.tenant,
        wishes=wishes,
        received=plan.stock[shop.tenant],
        orders=await shop.views(ids),
        payments=await shop.charges(ids),
        parcels=await shop.parcels(ids),
        stock=await shop.stock(plan.warehouse),
    )
