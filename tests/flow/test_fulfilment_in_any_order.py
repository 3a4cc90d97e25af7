"""Whatever the order of events: an order is fulfilled once, or undone completely."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from intent_contracts.intent.v1 import SagaReport, SagaStatus
from intent_contracts.inventory.v1 import ReceiveStock, StockLine
from intent_contracts.orders.v1 import (
    CancelOrder,
    Checkout,
    CheckoutStarted,
    Money,
    OrderConfirmed,
    OrderLine,
    OrderShipped,
    OrderStatus,
    PlaceOrder,
    Receiver,
)
from intent_contracts.shipping.v1 import ParcelStatus
from orders.sagas import FulfilOrder

from .contexts_in_memory import TENANT, World
from .partners import Carrier, Provider

COMPLETED = SagaStatus.SAGA_STATUS_COMPLETED
COMPENSATED = SagaStatus.SAGA_STATUS_COMPENSATED
FULFIL = "orders.v1.FulfilOrder"
SEEDS = range(100)
STOCK = 5
ORDERS = 4
"""Each orders two of five, so not all can have them."""
LEFT = (ParcelStatus.PARCEL_STATUS_HANDED_OVER, ParcelStatus.PARCEL_STATUS_DELIVERED)
RACES = {
    "CancelOrder: ORDER_SHIPPED",
    "CancelParcel: PARCEL_DELIVERED",
    "CancelParcel: PARCEL_HANDED_OVER",
    "CancelParcel: PARCEL_RETURNED",
    "ConfirmOrder: ORDER_CANCELLED",
    "HandOverParcel: PARCEL_CANCELLED",
}
"""What shows that one was faster than another."""
ENDS = {
    "",
    "INTERRUPTED",
    "ORDER_CANCELLED",
    "OUT_OF_STOCK",
    "PARCEL_RETURNED",
    "PAYMENT_DECLINED",
    "TIMED_OUT",
}


def _place(order_id: str) -> PlaceOrder:
    price = Money(minor_units=500, currency="EUR")
    return PlaceOrder(
        order_id=order_id,
        customer_id="ann",
        lines=[OrderLine(line_id=name, sku="tea", quantity=1, unit_price=price) for name in "ab"],
        checkout=Checkout(
            card_token="tok-ok",
            warehouse_id="w-1",
            ship_to=Receiver(name="Ann", street="Elm 1", postal_code="1", city="Berlin", country="DE"),
        ),
    )


def _customers(world: World, order_ids: list[str]) -> None:
    """Let customers order, and some cancel: at any time, or just when something happens."""

    def cancel(order_id: str) -> None:
        if world.chance.random() < 0.25:
            world.asked(CancelOrder(order_id=order_id, reason="changed my mind"))

    for order_id in order_ids:
        world.asked(_place(order_id))
        cancel(order_id)
    for event in (CheckoutStarted, OrderConfirmed, OrderShipped):
        world.react(event, lambda _, order_id: cancel(order_id))


@dataclass(frozen=True)
class Story:
    """Everything that happened in one world."""

    world: World
    provider: Provider
    order_ids: list[str]

    @property
    def reports(self) -> list[SagaReport]:
        """The reports of one saga for each order."""
        assert set(self.world.reports) == {f"{FULFIL}/{TENANT}/{order_id}" for order_id in self.order_ids}
        return list(self.world.reports.values())

    async def adds_up(self) -> None:
        """Check that money, goods and parcels are where the orders say."""
        left = 0
        for order_id in self.order_ids:
            order = await self.world.state("orders", "Order", order_id)
            parcel = await self.world.state("shipping", "Parcel", order_id)
            kept = self.provider.captured[order_id] - self.provider.refunded[order_id]
            left += 2 * (parcel.status in LEFT)
            if order.status == OrderStatus.ORDER_STATUS_COMPLETED:
                assert self.provider.captured[order_id] == kept == order.total.minor_units
                assert parcel.status == ParcelStatus.PARCEL_STATUS_DELIVERED
            else:
                assert order.status == OrderStatus.ORDER_STATUS_CANCELLED
                assert (kept, order_id in self.provider.held) == (0, False)
        warehouse = await self.world.state("inventory", "Warehouse", "w-1")
        assert not warehouse.reservations
        on_hand = warehouse.items["tea"].on_hand if "tea" in warehouse.items else 0
        assert on_hand == STOCK - left


async def _story(seed: int, *, operator: bool = False) -> Story:
    world = World(seed, {FULFIL: FulfilOrder})
    provider, _ = Provider(world), Carrier(world)
    tea = [StockLine(sku="tea", quantity=STOCK)]
    world.asked(ReceiveStock(warehouse_id="w-1", lines=tea))
    await world.run()
    order_ids = [f"o-{number}" for number in range(ORDERS)]
    _customers(world, order_ids)
    if operator:
        world.stopped_some_time()
    await world.run()
    world.close()
    return Story(world, provider, order_ids)


@contextmanager
def _explained(seed: int, story: Story) -> Iterator[None]:
    """Add all that happened to the error when something in a story is wrong."""
    try:
        yield
    except AssertionError as error:
        raise AssertionError("\n".join([f"seed {seed}: {error}", *story.world.story])) from error


async def test_every_order_is_fulfilled_once_or_undone() -> None:
    ends: set[str] = set()
    happened: set[str] = set()
    for seed in SEEDS:
        story = await _story(seed)
        with _explained(seed, story):
            await story.adds_up()
            assert all(report.status in (COMPLETED, COMPENSATED) for report in story.reports)
        ends |= {report.failure_reason for report in story.reports}
        happened |= set(story.world.story)
    assert ends == ENDS
    assert happened >= RACES


async def test_an_operator_may_cancel_sagas_at_any_moment() -> None:
    """Then a saga is compensated as well; for goods that have left meanwhile it asks the operator."""
    statuses: Counter[SagaStatus.ValueType] = Counter()
    for seed in SEEDS:
        story = await _story(seed, operator=True)
        waiting = story.world.stuck()
        statuses.update(report.status for report in story.world.reports.values())
        with _explained(seed, story):
            assert all(report.steps[-1].name == "shipping.v1.CancelParcel" for report in waiting)
            if not waiting:
                assert len(story.reports) == ORDERS
                await story.adds_up()
    assert statuses[COMPENSATED] > ORDERS * len(SEEDS) / 2
