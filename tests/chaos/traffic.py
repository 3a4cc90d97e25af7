"""The callers of one round: commands, submitted commands, queries and checkouts, and their answers."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field
from uuid import UUID

from google.protobuf.message import Message
from intent.client import IntentClient
from intent.errors import CommandError, DeadlineExceeded, Overloaded, Rejected, Unavailable
from intent_contracts.intent.v1 import CommandResult, CommandStatus
from intent_contracts.inventory.v1 import ReceiveStock, StockLine
from intent_contracts.orders.v1 import (
    ChangeLine,
    Checkout,
    ConfirmOrder,
    GetOrder,
    ListOrders,
    Money,
    OrderLine,
    OrderList,
    OrderView,
    PlaceOrder,
    Receiver,
)

from .bed import Bed
from .storm import Sent, _place

__all__ = ["Traffic"]

_CALLERS = 6
_SAGAS = 1
_WAREHOUSE = "w-1"
_PLATFORM = (Unavailable, Overloaded, DeadlineExceeded)
_QUERY_PATIENCE = 5.0
_LOOK = 0.1


@dataclass
class Traffic:
    """The callers of a round; its tenants are used by no other round.

    Attributes:
        bed: What they call.
        seed: The seed of the round.
        sent: The commands, with their first answers.
        submitted: Commands that were accepted, with their handles; their first answers are collected
            afterwards.
        checked_out: The orders that a saga fulfils.
        queries: How many queries were answered.
        problems: What must not happen, in sentences.
    """

    bed: Bed
    seed: int
    sent: list[Sent] = field(default_factory=list)
    submitted: list[tuple[Sent, str]] = field(default_factory=list)
    checked_out: list[str] = field(default_factory=list)
    queries: int = 0
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = random.Random(f"traffic-{self.seed}")
        self.tenants = (f"a-{self.seed}", f"b-{self.seed}")
        self.shop = f"shop-{self.seed}"
        self._over = asyncio.Event()
        self._ids = random.Random(self.random.random())
        self._orders = self.bed.clients["orders"]

    async def stock_up(self) -> None:
        """Put into the warehouse what the sagas take out."""
        lines = [StockLine(sku="tea", quantity=10 * _SAGAS)]
        client = self.bed.clients["inventory"].acting(tenant=self.shop)
        await client.execute(ReceiveStock(warehouse_id=_WAREHOUSE, lines=lines), command_id=self._new_id())

    def start(self) -> asyncio.Task[None]:
        """Begin to call, until `stop`; return the task that ends when every call was answered."""
        return asyncio.create_task(self._all())

    def stop(self) -> None:
        """Let every caller end after its call."""
        self._over.set()

    async def _all(self) -> None:
        async with asyncio.TaskGroup() as callers:
            for number in range(_CALLERS):
                callers.create_task(self._caller(number))
            callers.create_task(self._submitter())
            callers.create_task(self._checkouts())
            for tenant in self.tenants:
                callers.create_task(self._reader(tenant))

    async def _caller(self, number: int) -> None:
        own = random.Random(f"{self.seed}-{number}")
        tenant = self.tenants[number % len(self.tenants)]
        orders = 0
        while not self._over.is_set():
            orders += 1
            order_id = f"order-{number}-{orders}"
            await self._execute(own, tenant, _place(order_id))
            for _ in range(own.randint(1, 5)):
                if not self._over.is_set():
                    await asyncio.sleep(own.uniform(0.02, 0.2))
                    await self._execute(own, tenant, _step(own, order_id))

    async def _execute(self, own: random.Random, tenant: str, command: Message) -> None:
        sent = Sent(tenant, command, self._new_id(), time.monotonic())
        self.sent.append(sent)
        try:
            sent.answer = await self._orders.acting(tenant=tenant).execute(
                command, command_id=sent.command_id, applied_only=own.random() < 0.5
            )
        except Rejected as rejection:
            sent.answer = rejection.reason
        except CommandError as error:
            self.problems.append(f"{_words(sent)}: {error.reason}: {error}")
        sent.ended = time.monotonic()

    async def _submitter(self) -> None:
        number = 0
        while not self._over.is_set():
            number += 1
            tenant = self.random.choice(self.tenants)
            sent = Sent(tenant, _place(f"submitted-{number}"), self._new_id(), time.monotonic())
            try:
                client = self._orders.acting(tenant=tenant)
                accepted = await client.submit(sent.command, command_id=sent.command_id)
                self.submitted.append((sent, accepted.handle))
            except CommandError as error:
                self.problems.append(f"{_words(sent)}, submitted: {error.reason}: {error}")
            sent.ended = time.monotonic()
            await asyncio.sleep(0.2)

    async def _checkouts(self) -> None:
        for number in range(_SAGAS):
            order_id = f"saga-{number}"
            sent = Sent(self.shop, _checked_out(order_id), self._new_id(), time.monotonic())
            try:
                await self._orders.acting(tenant=self.shop).execute(sent.command, command_id=sent.command_id)
                self.checked_out.append(order_id)
            except CommandError as error:
                self.problems.append(f"{_words(sent)}: {error.reason}: {error}")
            await asyncio.sleep(0.3)

    async def _reader(self, tenant: str) -> None:
        """Ask for what was written, and for lists; only that it cannot be asked now is an excuse."""
        client = self._orders.acting(tenant=tenant)
        while not self._over.is_set():
            try:
                await self._read_back(client, tenant)
                await client.query(ListOrders(customer_id="ann"), OrderList, timeout=_QUERY_PATIENCE)
                self.queries += 1
            except _PLATFORM:
                pass
            except CommandError as error:
                self.problems.append(f"a query of {tenant}: {error.reason}: {error}")
            await asyncio.sleep(0.1)

    async def _read_back(self, client: IntentClient, tenant: str) -> None:
        placed = [
            (sent.command.order_id, sent.answer)
            for sent in self.sent
            if sent.tenant == tenant
            and isinstance(sent.command, PlaceOrder)
            and isinstance(sent.answer, CommandResult)
        ]
        if not placed:
            return
        order_id, answer = self.random.choice(placed)
        view = await client.query(
            GetOrder(order_id=order_id), OrderView, min_position=answer.position, timeout=_QUERY_PATIENCE
        )
        if view.version < answer.version:
            self.problems.append(
                f"{order_id} of {tenant} is read at version {view.version} though position "
                f"{answer.position}, at version {answer.version}, was asked for"
            )

    async def collect(self) -> None:
        """Wait for the outcomes of what was submitted."""
        for sent, handle in self.submitted:
            client = self._orders.acting(tenant=sent.tenant)
            while sent.answer is None:
                found = await client.get_command(sent.command_id, handle=handle)
                assert found.status != CommandStatus.COMMAND_STATUS_FAILED, f"{_words(sent)}: {found.outcome}"
                if found.status == CommandStatus.COMMAND_STATUS_APPLIED:
                    sent.answer = found.outcome.result
                else:
                    await asyncio.sleep(_LOOK)

    async def repeat(self) -> None:
        """Send every command again, and note what is not as it was the first time."""
        gate = asyncio.Semaphore(_CALLERS)

        async def one(first: Sent) -> None:
            async with gate:
                wrong = await self._repeated(first)
            if wrong:
                self.problems.append(f"{_words(first)}, repeated: {wrong}")

        await asyncio.gather(*map(one, [*self.sent, *(sent for sent, _ in self.submitted)]))

    async def _repeated(self, first: Sent) -> str:
        if first.answer is None:
            return ""
        try:
            again = await self._orders.acting(tenant=first.tenant).execute(
                first.command, command_id=first.command_id, applied_only=True
            )
        except CommandError as error:
            return "" if error.reason == first.answer else f"{first.answer} became {error.reason}: {error}"
        if isinstance(first.answer, str):
            return f"it is applied, at first it was {first.answer}"
        same = (again.version, again.position, list(again.events)) == (
            first.answer.version,
            first.answer.position,
            list(first.answer.events),
        )
        return "" if same and again.duplicate else f"{first.answer} became {again}"

    def slowest(self) -> float:
        """Return the longest time to an answer, in seconds."""
        return max((sent.ended - sent.began for sent in self.sent), default=0.0)

    def _new_id(self) -> UUID:
        return UUID(int=self._ids.getrandbits(128), version=4)


def _step(own: random.Random, order_id: str) -> Message:
    """Return a change of an order; no cancellation, for which a saga would wait to be started."""
    if own.random() < 0.9:
        return ChangeLine(order_id=order_id, line_id=own.choice("12"), quantity=own.randint(1, 500))
    return ConfirmOrder(order_id=order_id)


def _checked_out(order_id: str) -> PlaceOrder:
    line = OrderLine(line_id="1", sku="tea", quantity=2, unit_price=Money(minor_units=450, currency="EUR"))
    receiver = Receiver(name="Ann", street="Elm Street 1", postal_code="10115", city="Berlin", country="DE")
    checkout = Checkout(card_token="tok-ok", warehouse_id=_WAREHOUSE, ship_to=receiver)
    return PlaceOrder(order_id=order_id, customer_id="ann", lines=[line], checkout=checkout)


def _words(sent: Sent) -> str:
    return f"{sent.command.DESCRIPTOR.name} {sent.command_id} of {sent.tenant}"
