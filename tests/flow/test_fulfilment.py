"""Orders through four real services: what the customer, the provider and the carrier see."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest
import pytest_asyncio
from intent.client import IntentClient
from intent.contracts import Registry
from intent.dev.platform import ContextService, LocalPlatform
from intent.errors import PermissionDenied, Rejected
from intent_contracts.inventory.v1 import ReceiveStock, StockLine
from intent_contracts.orders.v1 import (
    CancelOrder,
    Checkout,
    GetOrder,
    ListOrders,
    Money,
    OrderLine,
    OrderList,
    OrderStatus,
    OrderView,
    PlaceOrder,
    Receiver,
)
from intent_contracts.payments.v1 import ListPayments, PaymentList, PaymentStatus
from intent_contracts.shipping.v1 import (
    DeliverParcel,
    HandOverParcel,
    ListParcels,
    ParcelList,
    ReturnParcel,
)
from payments.ledger import ProviderLedger

from demo.world import CONTEXTS, Shop, World, gathered

CHECKING_OUT = OrderStatus.ORDER_STATUS_CHECKING_OUT
CONFIRMED, CANCELLED = OrderStatus.ORDER_STATUS_CONFIRMED, OrderStatus.ORDER_STATUS_CANCELLED
SHIPPED, COMPLETED = OrderStatus.ORDER_STATUS_SHIPPED, OrderStatus.ORDER_STATUS_COMPLETED
ENVIRONMENT = {
    "PAYMENTS_PROVIDER_LATENCY_MS": "5",
    "PAYMENTS_PROVIDER_SLOW_MS": "4000",
    "SHIPPING_CARRIER_LATENCY_MS": "5",
    # The tests are the carrier: they report when it has a parcel.
    "SHIPPING_CARRIER_REPORTS": "0",
}
_DEADLINE = 90.0


@dataclass(frozen=True)
class Running:
    """The four services, and the ledger of the provider."""

    services: dict[str, ContextService]
    world: World
    ledger: ProviderLedger


@pytest_asyncio.fixture(scope="module")
async def running() -> AsyncIterator[Running]:
    """The four services on one machine."""
    async with AsyncExitStack() as stack:
        platform = stack.enter_context(LocalPlatform(durable=False))
        for context in CONTEXTS:
            await platform.prepare(context)
        services = {name: platform.service(name, environment=ENVIRONMENT) for name in CONTEXTS}
        for service in services.values():
            stack.callback(service.kill)
            service.start()
        registry = Registry.load()
        clients = {
            name: await stack.enter_async_context(
                IntentClient.connect(service.target, registry=registry, timeout=_DEADLINE)
            )
            for name, service in services.items()
        }
        ledger = ProviderLedger(platform.folder / "payments-provider.sqlite3")
        yield Running(services, World(clients), ledger)


async def stocked(running: Running, tenant: str, tea: int = 100) -> Shop:
    """Return a shop with tea in stock, of a tenant of its own."""
    shop = running.world.shop(tenant)
    lines = [StockLine(sku="tea", quantity=tea)]
    await shop.inventory.execute(ReceiveStock(warehouse_id="w-1", lines=lines))
    return shop


def order(order_id: str, card: str = "tok-ok", quantity: int = 2) -> PlaceOrder:
    price = Money(minor_units=450, currency="EUR")
    receiver = Receiver(name="Ann", street="Elm 1", postal_code="10115", city="Berlin", country="DE")
    return PlaceOrder(
        order_id=order_id,
        customer_id="ann",
        lines=[OrderLine(line_id="1", sku="tea", quantity=quantity, unit_price=price)],
        checkout=Checkout(card_token=card, warehouse_id="w-1", ship_to=receiver),
    )


async def eventually(what: str, check: Callable[[], Awaitable[bool]]) -> None:
    """Wait until a check holds; the contexts work at their own pace."""
    try:
        async with asyncio.timeout(_DEADLINE):
            while not await check():  # noqa: ASYNC110 - it looks at other processes
                await asyncio.sleep(0.2)
    except TimeoutError:
        pytest.fail(f"not within {_DEADLINE:g} s: {what}")


async def order_becomes(shop: Shop, order_id: str, status: OrderStatus.ValueType) -> OrderView:
    """Wait until an order has a status."""
    found = OrderView()

    async def check() -> bool:
        found.CopyFrom(await shop.orders.query(GetOrder(order_id=order_id), OrderView))
        return found.status == status

    await eventually(f"{order_id} is {OrderStatus.Name(status)}", check)
    return found


async def paid(shop: Shop, order_id: str, status: PaymentStatus.ValueType) -> None:
    """Wait until a payment has a status."""

    async def check() -> bool:
        payment = (await shop.charges([order_id])).get(order_id)
        return payment is not None and payment.status == status

    await eventually(f"the payment of {order_id} is {PaymentStatus.Name(status)}", check)


async def lies(shop: Shop, on_hand: int, reserved: int = 0) -> None:
    """Wait until the warehouse has a quantity of tea."""

    async def check() -> bool:
        item = (await shop.stock("w-1"))["tea"]
        return (item.on_hand, item.reserved) == (on_hand, reserved)

    await eventually(f"{on_hand} of tea are there, {reserved} of them held", check)


def net(running: Running, shop: Shop, order_id: str) -> int:
    """Return the amounts of an order in the provider's own ledger."""
    charges = [c for c in running.ledger.charges() if c.key.startswith(f"{shop.tenant}/{order_id}")]
    return sum(charge.net for charge in charges)


async def test_an_order_flows_through_four_services(running: Running) -> None:
    shop = await stocked(running, "flow")
    await shop.orders.execute(order("o-1"))
    await order_becomes(shop, "o-1", CONFIRMED)
    await lies(shop, 100, 2)
    await eventually("the parcel is arranged", lambda: _arranged(shop, "o-1"))
    assert net(running, shop, "o-1") == 0
    await shop.shipping.execute(HandOverParcel(parcel_id="o-1"))
    await order_becomes(shop, "o-1", SHIPPED)
    await paid(shop, "o-1", PaymentStatus.PAYMENT_STATUS_CAPTURED)
    await lies(shop, 98)
    await shop.shipping.execute(DeliverParcel(parcel_id="o-1"))
    await order_becomes(shop, "o-1", COMPLETED)
    assert net(running, shop, "o-1") == 900


async def test_what_follows_from_an_order_is_its_customers(running: Running) -> None:
    shop = await stocked(running, "owned")

    async def seen(customer: str) -> list[int]:
        """Return how many orders, payments and parcels a customer sees."""
        orders, payments, shipping = (
            client.acting(actor=f"user:{customer}", roles=["customer"])
            for client in (shop.orders, shop.payments, shop.shipping)
        )
        return [
            len((await orders.query(ListOrders(), OrderList)).orders),
            len((await payments.query(ListPayments(), PaymentList)).payments),
            len((await shipping.query(ListParcels(), ParcelList)).parcels),
        ]

    ann = shop.orders.acting(actor="user:ann", roles=["customer"])
    bob = shop.orders.acting(actor="user:bob", roles=["customer"])
    await ann.execute(order("o-1"))
    with pytest.raises(PermissionDenied):
        await bob.execute(order("o-2"))

    async def all_there() -> bool:
        return await seen("ann") == [1, 1, 1]

    await eventually("ann sees her order, her payment and her parcel", all_there)
    assert await seen("bob") == [0, 0, 0]
    with pytest.raises(PermissionDenied):
        await bob.execute(CancelOrder(order_id="o-1", reason="not mine"))
    elsewhere = shop.inventory.acting(actor="user:w-2", roles=["warehouse"])
    with pytest.raises(PermissionDenied):
        await elsewhere.execute(ReceiveStock(warehouse_id="w-1", lines=[StockLine(sku="tea", quantity=1)]))
    await ann.execute(CancelOrder(order_id="o-1", reason="changed my mind"))
    await order_becomes(shop, "o-1", CANCELLED)


async def _arranged(shop: Shop, order_id: str) -> bool:
    return order_id in await shop.parcels([order_id])


async def test_a_declined_card_leaves_nothing_behind(running: Running) -> None:
    shop = await stocked(running, "declined")
    await shop.orders.execute(order("o-1", card="tok-decline-card-expired"))
    view = await order_becomes(shop, "o-1", CANCELLED)
    assert view.cancel_reason == "PAYMENT_DECLINED: the payment was declined: CARD_EXPIRED"
    await lies(shop, 100)
    assert net(running, shop, "o-1") == 0


async def test_an_order_that_is_cancelled_while_its_payment_is_authorized_costs_nothing(
    running: Running,
) -> None:
    shop = await stocked(running, "hasty")
    await shop.orders.execute(order("o-1", card="tok-slow"))
    await paid(shop, "o-1", PaymentStatus.PAYMENT_STATUS_AUTHORIZING)
    await shop.orders.execute(CancelOrder(order_id="o-1", reason="changed my mind"))
    view = await order_becomes(shop, "o-1", CANCELLED)
    assert view.cancel_reason == "changed my mind"
    await paid(shop, "o-1", PaymentStatus.PAYMENT_STATUS_VOIDED)
    await lies(shop, 100)
    assert net(running, shop, "o-1") == 0


async def test_an_order_can_be_cancelled_until_the_carrier_has_it(running: Running) -> None:
    shop = await stocked(running, "early")
    await shop.orders.execute(order("o-1"))
    await eventually("the parcel is arranged", lambda: _arranged(shop, "o-1"))
    await shop.orders.execute(CancelOrder(order_id="o-1", reason="changed my mind"))
    assert (await order_becomes(shop, "o-1", CANCELLED)).cancel_reason == "changed my mind"
    await paid(shop, "o-1", PaymentStatus.PAYMENT_STATUS_VOIDED)
    await lies(shop, 100)
    with pytest.raises(Rejected, match="PARCEL_CANCELLED"):
        await shop.shipping.execute(HandOverParcel(parcel_id="o-1"))


async def test_an_order_that_the_carrier_has_is_not_cancelled(running: Running) -> None:
    shop = await stocked(running, "late")
    await shop.orders.execute(order("o-1"))
    await eventually("the parcel is arranged", lambda: _arranged(shop, "o-1"))
    await shop.shipping.execute(HandOverParcel(parcel_id="o-1"))
    # Whether the saga or the customer comes first: the carrier has it.
    with contextlib.suppress(Rejected):
        await shop.orders.execute(CancelOrder(order_id="o-1", reason="changed my mind"))
    await order_becomes(shop, "o-1", SHIPPED)
    with pytest.raises(Rejected, match="ORDER_SHIPPED"):
        await shop.orders.execute(CancelOrder(order_id="o-1", reason="changed my mind"))
    await shop.shipping.execute(DeliverParcel(parcel_id="o-1"))
    await order_becomes(shop, "o-1", COMPLETED)
    assert net(running, shop, "o-1") == 900


async def test_a_parcel_that_comes_back_is_refunded_and_put_back(running: Running) -> None:
    shop = await stocked(running, "back")
    await shop.orders.execute(order("o-1"))
    await eventually("the parcel is arranged", lambda: _arranged(shop, "o-1"))
    await shop.shipping.execute(ReturnParcel(parcel_id="o-1", reason="nobody home"))
    view = await order_becomes(shop, "o-1", CANCELLED)
    assert view.cancel_reason == "PARCEL_RETURNED: the parcel came back: nobody home"
    await paid(shop, "o-1", PaymentStatus.PAYMENT_STATUS_REFUNDED)
    await lies(shop, 100)
    assert net(running, shop, "o-1") == 0


async def test_of_many_who_want_the_same_exactly_as_many_win_as_there_are(running: Running) -> None:
    shop = await stocked(running, "crowd", tea=10)
    ids = [f"o-{number}" for number in range(100)]
    await gathered((shop.orders.execute(order(order_id, quantity=1)) for order_id in ids), at_once=50)

    async def decided() -> bool:
        statuses = Counter((await shop.statuses("ann")).values())
        return statuses == {CONFIRMED: 10, CANCELLED: 90}

    await eventually("10 orders are confirmed and 90 are cancelled", decided)
    views = (await shop.views(ids)).values()
    reasons = Counter(view.cancel_reason for view in views if view.status == CANCELLED)
    assert reasons == {"OUT_OF_STOCK: warehouse w-1 has 0 of tea available, 1 are requested": 90}
    await lies(shop, 10, 10)


async def test_while_payments_is_away_orders_wait_and_none_fails(running: Running) -> None:
    shop = await stocked(running, "patient")
    payments = running.services["payments"]
    payments.stop()
    ids = [f"o-{number}" for number in range(20)]
    await gathered(shop.orders.execute(order(order_id)) for order_id in ids)
    await lies(shop, 100, 40)
    assert set((await shop.statuses("ann")).values()) == {CHECKING_OUT}
    payments.start()

    async def confirmed() -> bool:
        return set((await shop.statuses("ann")).values()) == {CONFIRMED}

    await eventually("all orders are confirmed", confirmed)
