"""The plan of a run: who orders what, and what goes wrong with it; all of it follows from a seed."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from intent_contracts.orders.v1 import Checkout, Money, OrderLine, PlaceOrder, Receiver

__all__ = ["Fate", "Plan", "Wish", "planned"]


class Fate(Enum):
    """What happens to an order."""

    PLAIN = "nothing goes wrong"
    TROUBLED = "the payment provider or the carrier loses answers or repeats itself"
    DECLINED = "the card is declined"
    SCARCE = "it orders a scarce article"
    REGRETTED = "the customer cancels at once"
    REGRETTED_LATE = "the customer cancels some time later"
    RETURNED = "the parcel comes back"
    UNCHARGED = "the card cannot be charged once the parcel has left"


SHARES: Final = {
    Fate.PLAIN: 46,
    Fate.TROUBLED: 10,
    Fate.DECLINED: 10,
    Fate.SCARCE: 14,
    Fate.REGRETTED: 6,
    Fate.REGRETTED_LATE: 8,
    Fate.RETURNED: 4,
    Fate.UNCHARGED: 2,
}
"""The share of each fate, in percent."""
PRICES: Final = {"tea": 450, "coffee": 790, "mug": 1250}
SCARCE: Final = "first-edition"
SCARCE_PRICE: Final = 4900
SCARCE_SHARE: Final = 3
"""The number of scarce articles that are ordered for each one in stock."""
_CARDS: Final = {
    Fate.TROUBLED: ("tok-timeout", "tok-flaky", "tok-twice"),
    Fate.DECLINED: ("tok-decline-card-expired", "tok-decline-insufficient-funds"),
    Fate.UNCHARGED: ("tok-capture-declined",),
}
_POSTAL_CODES: Final = {
    Fate.TROUBLED: ("timeout", "flaky", "twice"),
    Fate.RETURNED: ("return-nobody-home", "return-refused"),
}


@dataclass(frozen=True, slots=True)
class Wish:
    """One planned order.

    Attributes:
        tenant: The tenant whose customer orders.
        fate: What happens to it.
        command: The command that places it and checks it out.
        cancel_after: Seconds until the customer cancels it; None: never.
    """

    tenant: str
    fate: Fate
    command: PlaceOrder
    cancel_after: float | None

    @property
    def quantities(self) -> Counter[str]:
        """The quantity of each article."""
        return Counter({line.sku: line.quantity for line in self.command.lines})


@dataclass(frozen=True, slots=True)
class Plan:
    """All planned orders.

    Attributes:
        run: The name of the run; it is part of the ids of warehouses and customers, so that runs do
            not mix.
        wishes: The orders.
        stock: The initial stock, by tenant and article.
    """

    run: str
    wishes: Sequence[Wish]
    stock: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def warehouse(self) -> str:
        """The id of the warehouse of all goods; each tenant has one."""
        return f"demo-{self.run}"

    @property
    def customer(self) -> str:
        """The id of the customer of all orders; each tenant has one."""
        return f"demo-{self.run}"


def planned(run: str, *, tenants: int, orders: int, seed: int, shares: Mapping[Fate, int] = SHARES) -> Plan:
    """Return a plan; except for the name of the run, it depends on the seed alone.

    Args:
        run: The name of the run.
        tenants: The number of tenants.
        orders: The total number of orders.
        seed: The seed of the random choices.
        shares: The relative frequency of each fate.
    """
    chance = random.Random(seed)  # noqa: S311 - nothing here is secret
    plan = Plan(run, [])
    fates = chance.choices(list(shares), list(shares.values()), k=orders)
    wishes = [_wish(plan, chance, f"shop-{1 + n % tenants}", n, fate) for n, fate in enumerate(fates)]
    stock = {tenant: _stock(wishes, tenant) for tenant in sorted({wish.tenant for wish in wishes})}
    return Plan(run, wishes, stock)


def _wish(plan: Plan, chance: random.Random, tenant: str, number: int, fate: Fate) -> Wish:
    receiver = Receiver(
        name="Ann Example",
        street=f"Elm Street {number}",
        postal_code=chance.choice(_POSTAL_CODES.get(fate, ("10115",))),
        city="Berlin",
        country="DE",
    )
    checkout = Checkout(
        card_token=chance.choice(_CARDS.get(fate, ("tok-ok",))),
        warehouse_id=plan.warehouse,
        ship_to=receiver,
    )
    command = PlaceOrder(
        order_id=f"demo-{plan.run}-{number:04}",
        customer_id=plan.customer,
        lines=_lines(chance, fate),
        checkout=checkout,
    )
    return Wish(tenant, fate, command, _cancel_after(chance, fate))


def _lines(chance: random.Random, fate: Fate) -> list[OrderLine]:
    if fate is Fate.SCARCE:
        return [_line(SCARCE, 1, SCARCE_PRICE)]
    articles = chance.sample(sorted(PRICES), k=chance.randint(1, len(PRICES)))
    return [_line(sku, chance.randint(1, 3), PRICES[sku]) for sku in articles]


def _line(sku: str, quantity: int, price: int) -> OrderLine:
    unit_price = Money(minor_units=price, currency="EUR")
    return OrderLine(line_id=sku, sku=sku, quantity=quantity, unit_price=unit_price)


def _cancel_after(chance: random.Random, fate: Fate) -> float | None:
    if fate is Fate.REGRETTED:
        return 0.0
    return chance.uniform(0.2, 4.0) if fate is Fate.REGRETTED_LATE else None


def _stock(wishes: Sequence[Wish], tenant: str) -> dict[str, int]:
    """Return a stock with enough of everything except the scarce article."""
    wanted: Counter[str] = Counter()
    for wish in wishes:
        if wish.tenant == tenant:
            wanted.update(wish.quantities)
    enough = {sku: wanted[sku] + 10 for sku in PRICES}
    return {**enough, SCARCE: max(1, math.ceil(wanted[SCARCE] / SCARCE_SHARE))}
