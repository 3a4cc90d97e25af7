"""A run of the demo: place the orders, cancel some, and wait until nothing changes any more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from intent.errors import Rejected
from intent_contracts.inventory.v1 import ReceiveStock, StockLine
from intent_contracts.orders.v1 import CancelOrder

from demo.books import FINAL, Books, read_books
from demo.plan import Plan, Wish
from demo.world import Shop, World, gathered

__all__ = ["PATIENCE", "Run"]

PATIENCE: Final = 60.0
"""Seconds without any change after which a run counts as stuck."""
_LOOK: Final = 0.5


@dataclass
class Run:
    """One run of the demo.

    Attributes:
        world: The contexts.
        plan: The planned orders.
        on_placed: Called for each order that is placed.
        patience: Seconds without any change after which the run counts as stuck.
        late: The number of refused cancellations, by reason.
    """

    world: World
    plan: Plan
    on_placed: Callable[[], None] = lambda: None
    patience: float = PATIENCE
    late: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._shops: Mapping[str, Shop] = {name: self.world.shop(name) for name in self.plan.stock}

    async def stock_up(self) -> None:
        """Stock the warehouse of each tenant."""
        await gathered(
            shop.inventory.execute(
                ReceiveStock(
                    warehouse_id=self.plan.warehouse,
                    lines=[StockLine(sku=sku, quantity=n) for sku, n in self.plan.stock[name].items()],
                )
            )
            for name, shop in self._shops.items()
        )

    async def place(self, at_once: int, over: float = 0) -> None:
        """Place all orders, a limited number at once, and cancel those whose customers cancel.

        Args:
            at_once: The maximum number of orders that are being placed at any time.
            over: The minimum number of seconds over which they are spread.
        """
        regrets: list[asyncio.Task[None]] = []
        began, pause = _time(), over / len(self.plan.wishes)

        async def one(number: int, wish: Wish) -> None:
            await asyncio.sleep(began + number * pause - _time())
            await self._shops[wish.tenant].orders.execute(wish.command)
            self.on_placed()
            if wish.cancel_after is not None:
                regrets.append(asyncio.create_task(self._cancel(wish, wish.cancel_after)))

        await gathered((one(*numbered) for numbered in enumerate(self.plan.wishes)), at_once)
        await asyncio.gather(*regrets)

    async def _cancel(self, wish: Wish, after: float) -> None:
        await asyncio.sleep(after)
        command = CancelOrder(order_id=wish.command.order_id, reason="changed my mind")
        try:
            await self._shops[wish.tenant].orders.execute(command)
        except Rejected as refused:
            self.late[refused.reason] = self.late.get(refused.reason, 0) + 1

    async def ended(self) -> AsyncIterator[int]:
        """Yield the number of orders at their end, until all are or nothing changes any more."""
        before: Sequence[object] = ()
        moved = _time()
        while _time() - moved < self.patience:
            now = sorted([item for shop in self._shops.values() for item in await self._standing(shop)])
            at_end = sum(status in FINAL for _, status in now)
            yield at_end
            if at_end == len(self.plan.wishes):
                return
            if now != before:
                before, moved = now, _time()
            await asyncio.sleep(_LOOK)

    async def _standing(self, shop: Shop) -> list[tuple[str, int]]:
        return list((await shop.statuses(self.plan.customer)).items())

    async def settled(self, patience: float | None = None) -> list[Books]:
        """Return the books once they add up, or once nothing has changed for `patience` seconds."""
        patience = self.patience if patience is None else patience
        before: list[Books] = []
        moved = _time()
        while True:
            books = [await read_books(shop, self.plan) for shop in self._shops.values()]
            if not any(one.problems() for one in books) or _time() - moved >= patience:
                return books
            if books != before:
                before, moved = books, _time()
            await asyncio.sleep(_LOOK)


def _time() -> float:
    return asyncio.get_running_loop().time()
