"""The invariants of orders across the contexts, and what violates them, by order and saga."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from intent_contracts.intent.v1 import SagaInfo, SagaStatus
from intent_contracts.inventory.v1 import StockReleased, StockReserved, StockShippedOut
from intent_contracts.orders.v1 import FulfilOrder
from intent_contracts.payments.v1 import PaymentCaptured
from intent_contracts.shipping.v1 import ParcelArranged, ParcelDelivered, ParcelHandedOver
from payments.ledger import Charge

from demo.books import COMPLETED, Books

from .logs import Log

__all__ = ["Verdict", "saga_of"]

Happened = Mapping[tuple[str, str], Counter[str]]
"""The number of each event, by tenant and order."""

_WELL = SagaStatus.SAGA_STATUS_COMPLETED
_UNDONE = SagaStatus.SAGA_STATUS_COMPENSATED
_RESERVED, _RELEASED, _SHIPPED_OUT = (
    event.DESCRIPTOR.full_name for event in (StockReserved, StockReleased, StockShippedOut)
)
_ONCE = {
    event.DESCRIPTOR.full_name: words
    for event, words in (
        (PaymentCaptured, "captured"),
        (ParcelArranged, "given to the carrier"),
        (ParcelHandedOver, "handed over"),
        (ParcelDelivered, "delivered"),
        (StockReserved, "reserved"),
        (StockShippedOut, "shipped out"),
    )
}
"""The events that happen exactly once to a completed order, and at most once to any."""


def saga_of(tenant: str, order_id: str) -> str:
    """Return the id of the saga that fulfils an order."""
    return f"{FulfilOrder.DESCRIPTOR.full_name}/{tenant}/{order_id}"


@dataclass(frozen=True)
class Verdict:
    """Everything that is known of the orders at the end.

    Attributes:
        books: What the contexts say of the orders, by tenant.
        sagas: Every saga of every context.
        charges: What the payment provider did.
        logs: The contexts' logs.
    """

    books: list[Books]
    sagas: list[SagaInfo]
    charges: list[Charge]
    logs: list[Log]

    def problems(self) -> list[str]:
        """Return what does not hold, in sentences; an empty list when everything does."""
        return [
            *(f"{one.tenant}: {problem}" for one in self.books for problem in one.problems()),
            *self._sagas_not_over(),
            *self._orders_against_sagas(),
            *self._orders_against_logs(),
            *self._orders_against_charges(),
        ]

    def _sagas_not_over(self) -> Iterator[str]:
        for saga in self.sagas:
            if saga.status not in (_WELL, _UNDONE) or not saga.HasField("ended_at"):
                status = SagaStatus.Name(saga.status).removeprefix("SAGA_STATUS_").lower()
                yield f"saga {saga.id} is not over: {status}, at {saga.step or 'its beginning'}"

    def _orders_against_sagas(self) -> Iterator[str]:
        statuses = {saga.id: saga.status for saga in self.sagas}
        for tenant, order_id, completed in self._ends():
            id_ = saga_of(tenant, order_id)
            if id_ not in statuses:
                yield _of(tenant, order_id, "its saga never began")
            elif (statuses[id_] == _WELL) is not completed:
                status = SagaStatus.Name(statuses[id_])
                yield _of(
                    tenant, order_id, f"it is{'' if completed else ' not'} completed, its saga {status}"
                )

    def _orders_against_logs(self) -> Iterator[str]:
        happened = _happened(self.logs)
        for tenant, order_id, completed in self._ends():
            own = happened[tenant, order_id]
            for type_, words in _ONCE.items():
                if own[type_] > 1 or (completed and not own[type_]):
                    yield _of(tenant, order_id, f"{words} {own[type_]} times")
            if own[_RESERVED] != own[_RELEASED] + own[_SHIPPED_OUT]:
                moved = ", ".join(f"{name} {own[name]}" for name in (_RESERVED, _RELEASED, _SHIPPED_OUT))
                yield _of(tenant, order_id, f"its stock does not add up: {moved}")

    def _orders_against_charges(self) -> Iterator[str]:
        charges = {charge.key: charge for charge in self.charges}
        for one in self.books:
            for order_id, order in one.orders.items():
                charge = charges.pop(f"{one.tenant}/{order_id}", None)
                completed = order.status == COMPLETED
                due = order.total.minor_units if completed else 0
                yield from (
                    _of(one.tenant, order_id, f"the provider says: {wrong}; {charge}")
                    for wrong in _wrong_with(charge, due)
                )
        yield from (f"the provider was asked for what no order is: {charge}" for charge in charges.values())

    def _ends(self) -> Iterator[tuple[str, str, bool]]:
        """Yield every order, and whether it is completed."""
        for one in self.books:
            for order_id, order in one.orders.items():
                yield one.tenant, order_id, order.status == COMPLETED


def _wrong_with(charge: Charge | None, due: int) -> Iterator[str]:
    if charge is None:
        if due:
            yield f"nothing is charged, {due} are due"
        return
    if charge.net != due:
        yield f"{charge.net} are charged, {due} are due"
    if charge.held:
        yield f"{charge.held} are held"
    if charge.captures > 1 or charge.authorizations > 1:
        yield "it is charged twice"


def _happened(logs: Iterable[Log]) -> Happened:
    happened: Happened = defaultdict(Counter)
    for log in logs:
        for row in log:
            happened[row["tenant"], _order_of(row)][row["type"]] += 1
    return happened


def _order_of(row: Mapping[str, Any]) -> str:
    """Return the order of an event; payments and parcels have its id."""
    for event in (StockReserved, StockReleased, StockShippedOut):
        if row["type"] == event.DESCRIPTOR.full_name:
            return event.FromString(row["data"]).order_id
    return str(row["aggregate_id"])


def _of(tenant: str, order_id: str, what: str) -> str:
    return f"order {order_id} of {tenant} (saga {saga_of(tenant, order_id)}): {what}"
