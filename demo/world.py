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
    """Awaits all, a limited number at once, and returns what they return."""
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
        """Returns where the orders of a customer stand, by their ids."""
        found: dict[str, OrderStatus.ValueType] = {}
        query = ListOrders(customer_id=customer, page_size=_PAGE)
        while True:
            page = await self.orders.query(query, OrderList)
            found.update({order.order_id: order.status for order in page.orders})
            if not page.next_page_token:
                return found
            query.page_token = page.next_page_token

    async def views(self, order_ids: Sequence[str]) -> dict[str, OrderView]:
        """Returns orders by their ids."""
        found = await gathered(self.orders.query(GetOrder(order_id=id_), OrderView) for id_ in order_ids)
        return {view.order_id: view for view in found}

    async def charges(self, order_ids: Sequence[str]) -> dict[str, PaymentView]:
        """Returns the payments of orders by their ids, where there are any."""
        asked = (_found(self.payments, GetPayment(payment_id=id_), PaymentView) for id_ in order_ids)
        return {view.payment_id: view for view in await gathered(asked) if view is not None}

    async def parcels(self, order_ids: Sequence[str]) -> dict[str, ParcelView]:
        """Returns the parcels of orders by their ids, where there are any."""
        asked = (_found(self.shipping, GetParcel(parcel_id=id_), ParcelView) for id_ in order_ids)
        return {view.parcel_id: view for view in await gathered(asked) if view is not None}

    async def stock(self, warehouse: str) -> dict[str, StockItem]:
        """Returns what lies in a warehouse, by article."""
        query = ListStock(warehouse_id=warehouse, page_size=_PAGE)
        return {item.sku: item for item in (await self.inventory.query(query, StockList)).items}


async def _found(client: IntentClient, query: Message, returns: type[M]) -> M | None:
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
        """Connects to what `make dev` runs, for as long as the block lasts.

        Raises:
            ConfigurationError: It does not run, or not all of it.
        """
        state = DevState.read(folder)
        mend = "start it with make dev in another terminal, then run make demo again"
        if state is None:
            raise ConfigurationError(f"make dev is not running here ({folder}); {mend}")
        missing = [name for name in CONTEXTS if name not in state.contexts]
        if missing:
            raise ConfigurationError(f"make dev runs without {', '.join(missing)}; end it, and {mend}")
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
        """Returns the contexts on behalf of a tenant."""
        return Shop(tenant, *(self.clients[name].acting(tenant=tenant) for name in CONTEXTS))
