"""The running contexts, through their typed clients."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from google.protobuf.message import Message
from intent.client import IntentClient
from intent.contracts import Registry
from intent.dev import DevState
from intent.errors import ConfigurationError, NotFound
from intent_contracts.inventory.v1 import ListStock, StockItem, StockList
from intent_contracts.orders.v1 import GetOrder, ListOrders, OrderList, OrderStatus, OrderView
from intent_contracts.payments.v1 import GetPayment, PaymentView
from intent_contracts.shipping.v1 import GetParcel, ParcelView

__all__ = ["CONTEXTS", "Shop", "World", "gathered"]

CONTEXTS: Final = ("inventory", "orders", "payments", "shipping")
_PAGE: Final = 500
_AT_ONCE: Final = 32
_TIMEOUT: Final = 120.0

T = TypeVar("T")
M = TypeVar("M", bound=Message)


async def gathered(work: Iterable[Awaitable[T]], at_once: int = _AT_ONCE) -> list[T]:
    """Await all, a limited number at once, and return their results."""
    slots = asyncio.Semaphore(at_once)

    async def one(awaitable: Awaitable[T]) -> T:
        async with slots:
            return await awaitable

    return list(await asyncio.gather(*map(one, work)))


@dataclass(frozen=True, slots=True)
class Shop:
    """The four contexts on behalf of one tenant.

    Attributes:
        tenant: The tenant.
        inventory: Its client of inventory.
        orders: Its client of orders.
        payments: Its client of payments.
        shipping: Its client of shipping.
    """

    tenant: str
    inventory: IntentClient
    orders: IntentClient
    payments: IntentClient
    shipping: IntentClient

    async def statuses(self, customer: str) -> dict[str, OrderStatus.ValueType]:
        """Return the statuses of a customer's orders, by order id."""
        statuses: dict[str, OrderStatus.ValueType] = {}
        query = ListOrders(customer_id=customer, page_size=_PAGE)
        while True:
            page = await self.orders.query(query, OrderList)
            statuses.update({order.order_id: order.status for order in page.orders})
            if not page.next_page_token:
                return statuses
            query.page_token = page.next_page_token

    async def views(self, order_ids: Sequence[str]) -> dict[str, OrderView]:
        """Return orders, by order id."""
        views = await gathered(self.orders.query(GetOrder(order_id=id_), OrderView) for id_ in order_ids)
        return {view.order_id: view for view in views}

    async def charges(self, order_ids: Sequence[str]) -> dict[str, PaymentView]:
        """Return the payments of orders that have one, by order id."""
        queries = (_if_found(self.payments, GetPayment(payment_id=id_), PaymentView) for id_ in order_ids)
        return {view.payment_id: view for view in await gathered(queries) if view is not None}

    async def parcels(self, order_ids: Sequence[str]) -> dict[str, ParcelView]:
        """Return the parcels of orders that have one, by order id."""
        queries = (_if_found(self.shipping, GetParcel(parcel_id=id_), ParcelView) for id_ in order_ids)
        return {view.parcel_id: view for view in await gathered(queries) if view is not None}

    async def stock(self, warehouse: str) -> dict[str, StockItem]:
        """Return the stock of a warehouse, by article."""
        query = ListStock(warehouse_id=warehouse, page_size=_PAGE)
        return {item.sku: item for item in (await self.inventory.query(query, StockList)).items}


async def _if_found(client: IntentClient, query: Message, returns: type[M]) -> M | None:
    try:
        return await client.query(query, returns)
    except NotFound:
        return None


@dataclass(frozen=True, slots=True)
class World:
    """The four contexts.

    Attributes:
        clients: Their clients, by the contexts' names.
    """

    clients: dict[str, IntentClient]

    @classmethod
    @asynccontextmanager
    async def running(cls, folder: Path) -> AsyncIterator[World]:
        """Connect to the contexts of `make dev` for the duration of the block.

        Raises:
            ConfigurationError: `make dev` does not run, or not with all contexts, or it asks for tokens.
        """
        state = DevState.read(folder)
        fix = "start it with make dev in another terminal, then run make demo again"
        if state is None:
            raise ConfigurationError(f"make dev is not running here ({folder}); {fix}")
        if state.issuer:
            raise ConfigurationError(
                "make dev runs with --identity token, and the demonstration speaks for many users: end it, "
                "and start it without that"
            )
        missing = [name for name in CONTEXTS if name not in state.contexts]
        if missing:
            raise ConfigurationError(f"make dev runs without {', '.join(missing)}; end it, and {fix}")
        registry = Registry.load()
        async with AsyncExitStack() as stack:
            clients = {
                name: IntentClient.connect(
                    state.contexts[name].target, registry=registry, timeout=_TIMEOUT, actor="user:demo"
                )
                for name in CONTEXTS
            }
            for client in clients.values():
                await stack.enter_async_context(client)
            yield cls(clients)

    def shop(self, tenant: str) -> Shop:
        """Return the clients of a tenant."""
        return Shop(tenant, *(self.clients[name].acting(tenant=tenant) for name in CONTEXTS))
