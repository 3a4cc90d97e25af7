"""Poison of each kind in commands, projections, queries and consumers, among good neighbours."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from uuid import UUID

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from intent.client import IntentClient
from intent.contracts import Registry
from intent.dev.platform import ContextService, LocalPlatform
from intent.dev.services.process import ServiceFailed
from intent.errors import CommandError, Unavailable
from intent_contracts.intent.v1 import CommandResult
from intent_contracts.orders.v1 import ListOrders, Money, OrderLine, OrderList, PlaceOrder

from .logs import check_log, fetched
from .poisoned import DEADLY, KINDS, USELESS
from .storm import ROLES, TENANTS

__all__ = ["PARTS", "Poison", "PoisonStorm", "drawn", "poisonous"]

PARTS = ("command", "projection", "query", "consumer")
_LIMIT = 1.0
_PATIENCE = 600.0
_LOOK = 1.0
_HEALTH = 5.0
"""Seconds in which a process that runs must have answered for its health; one that is started has longer."""
_CONSUMER = "shipping.known-orders"


@dataclass(frozen=True, slots=True)
class Poison:
    """A piece of poison.

    Attributes:
        part: Whose code it harms.
        kind: What it does.
    """

    part: str
    kind: str

    def customer(self, number: int) -> str:
        """Return the name of a customer who has it done."""
        return f"poison:{self.part}:{self.kind}:{number}"


def drawn(seed: int, pieces: int) -> list[Poison]:
    """Return poison for a round: each part in turn, and of what ends processes two pieces at most."""
    own = random.Random(seed)
    kinds = [*own.sample(DEADLY, 2), *own.choices([kind for kind in KINDS if kind not in DEADLY], k=pieces)]
    kinds = own.sample(kinds[:pieces], pieces)
    parts = own.sample(PARTS, len(PARTS))
    return [Poison(parts[number % len(parts)], kind) for number, kind in enumerate(kinds)]


class Attendant:
    """Starts a process again whenever it has ended, as a cluster does, and asks for its health.

    Attributes:
        lost: How often it has ended by itself.
        slowest: The longest time, in seconds, in which it answered for its health.
    """

    def __init__(self, service: ContextService) -> None:
        self.service = service
        self.lost = 0
        self.slowest = 0.0

    async def attend(self) -> None:
        """Attend to the process until cancelled."""
        async with grpc.aio.insecure_channel(self.service.target) as channel:
            health = health_pb2_grpc.HealthStub(channel)
            while True:
                await asyncio.sleep(_LOOK)
                if self.service.process.exit_code is not None:
                    self.lost += 1
                    await self._start_again()
                else:
                    await self._ask(health)

    async def _start_again(self) -> None:
        while True:
            try:
                await asyncio.to_thread(self.service.start)
            except ServiceFailed as error:
                # It was too slow on a busy machine, or has met poison at once.
                self.lost += "did not start" in str(error)
            else:
                return

    async def _ask(self, health: health_pb2_grpc.HealthStub) -> None:
        began = time.monotonic()
        try:
            await health.Check(health_pb2.HealthCheckRequest(), timeout=_HEALTH * 2)
        except grpc.aio.AioRpcError:
            if self.service.process.exit_code is not None:
                return
        self.slowest = max(self.slowest, time.monotonic() - began)


@asynccontextmanager
async def poisonous(
    platform: LocalPlatform, contexts: Sequence[str] = ("orders", "shipping")
) -> AsyncIterator[dict[str, Attendant]]:
    """Run contexts that are poisoned and attended to, for the duration of the block."""
    for context in contexts:
        await platform.prepare(context)
    services = {
        context: platform.service(
            context,
            module="tests.chaos.poisoned",
            log_level="error",
            handler_timeout=str(_LIMIT),
            crash_folder=str(platform.folder / f"crashes-{context}"),
        )
        for context in contexts
    }
    attendants = {context: Attendant(service) for context, service in services.items()}
    tasks: list[asyncio.Task[None]] = []
    try:
        for attendant in attendants.values():
            await asyncio.to_thread(attendant.service.start)
            tasks.append(asyncio.create_task(attendant.attend()))
        yield attendants
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for attendant in attendants.values():
            attendant.service.stop()


@dataclass
class PoisonStorm:
    """One round of poison.

    Attributes:
        platform: The platform.
        attendants: The processes, by context.
        seed: The seed of the random choices.
        pieces: The poison.
        neighbours: The number of orders that have nothing to do with it.
    """

    platform: LocalPlatform
    attendants: dict[str, Attendant]
    seed: int
    pieces: Sequence[Poison]
    neighbours: int = 24
    _ids: dict[str, tuple[str, UUID]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        target = self.attendants["orders"].service.target
        self.client = IntentClient.connect(
            target,
            tenant=TENANTS[0],
            roles=(*ROLES, "consumer-all"),
            timeout=_PATIENCE,
            registry=Registry.load(),
        )

    async def blow(self) -> str:
        """Send everything at once and check what must hold; return a line on it."""
        lost = sum(attendant.lost for attendant in self.attendants.values())
        await asyncio.gather(
            *(self._neighbour(number) for number in range(self.neighbours)),
            *(self._poisoned(number, piece) for number, piece in enumerate(self.pieces)),
        )
        await self._skip_what_projections_fail_on()
        await self._drop_what_is_parked()
        await self._neighbours_are_shown()
        await self._log_is_what_was_sent()
        lost = sum(attendant.lost for attendant in self.attendants.values()) - lost
        deadly = sum(piece.kind in DEADLY for piece in self.pieces)
        assert lost <= 3 * deadly, f"{lost} processes were lost by {deadly} pieces of poison"
        slowest = max(attendant.slowest for attendant in self.attendants.values())
        assert slowest < _HEALTH, f"health was answered after {slowest:.1f} s"
        return f"{self.neighbours} neighbours, {lost} processes lost, health within {slowest:.1f} s"

    # What is sent.

    async def _neighbour(self, number: int) -> None:
        await asyncio.sleep(self.random.uniform(0, 3))
        tenant = TENANTS[number % len(TENANTS)]
        answer = await self._sent(tenant, f"good-{number}", f"customer-{self.seed}-{number}")
        assert isinstance(answer, CommandResult), f"a neighbour got {answer}"

    async def _poisoned(self, number: int, piece: Poison) -> None:
        await asyncio.sleep(self.random.uniform(0, 2))
        tenant = TENANTS[number % len(TENANTS)]
        customer = piece.customer(number)
        if piece.part == "query":
            query = ListOrders(customer_id=customer, page_size=self.seed % 90 + 1)
            answer = await self._insisting(partial(self.client.acting(tenant=tenant).query, query, OrderList))
            assert answer == "INTERNAL", f"{piece} was answered with {answer}"
            return
        answer = await self._sent(tenant, f"bad-{number}", customer)
        if piece.part == "command":
            assert answer == "INTERNAL", f"{piece} was answered with {answer}"
        else:
            assert isinstance(answer, CommandResult), f"the event of {piece} was answered with {answer}"

    async def _sent(self, tenant: str, name: str, customer: str) -> object:
        order_id = f"{name}-{self.seed}"
        command_id = UUID(int=self.random.getrandbits(128), version=4)
        price = Money(minor_units=250, currency="EUR")
        lines = [OrderLine(line_id="1", sku="tea", quantity=1, unit_price=price)]
        place = PlaceOrder(order_id=order_id, customer_id=customer, lines=lines)
        acting = self.client.acting(tenant=tenant)
        send = partial(acting.execute, place, command_id=command_id, applied_only=True)
        answer = await self._insisting(send)
        if isinstance(answer, CommandResult):
            self._ids[order_id] = tenant, command_id
            again = await self._insisting(send)
            assert isinstance(again, CommandResult), f"{order_id} was lost: {again}"
            assert (again.version, again.position) == (answer.version, answer.position)
        return answer

    async def _insisting(self, call: Callable[[], Awaitable[object]]) -> object:
        """Repeat a call until it is answered; return the answer, or the reason of its failure."""
        async with asyncio.timeout(_PATIENCE):
            while True:
                try:
                    return await call()
                except Unavailable:
                    await asyncio.sleep(_LOOK)
                except CommandError as error:
                    return error.reason

    # What is shown, and what an operator does.

    def _expected(self, part: str, *, harmless: Sequence[str] = ()) -> set[str]:
        return {
            f"bad-{number}-{self.seed}"
            for number, piece in enumerate(self.pieces)
            if piece.part == part and piece.kind not in harmless
        }

    async def _skip_what_projections_fail_on(self) -> None:
        left = self._expected("projection", harmless=USELESS)
        async with asyncio.timeout(_PATIENCE):
            while left:
                status = await self._summaries()
                if status is None or not status.failing_position:
                    await asyncio.sleep(_LOOK)
                    continue
                position = status.failing_position
                rows = await fetched(
                    self.platform.postgres.dsn,
                    f"select aggregate_id from orders.events where position = {position}",
                )
                order_id = rows[0]["aggregate_id"]
                assert order_id in left, f"a projection fails on {order_id}: {status.last_error}"
                skip = self.client.projections.skip
                await self._insisting(partial(skip, "OrderSummaries", position, "poison"))
                left.remove(order_id)

    async def _summaries(self) -> Any:
        listed = await self._insisting(self.client.projections.list)
        return next((p for p in getattr(listed, "projections", ()) if p.name == "OrderSummaries"), None)

    async def _drop_what_is_parked(self) -> None:
        left = self._expected("consumer")
        async with asyncio.timeout(_PATIENCE):
            while left:
                await asyncio.sleep(_LOOK)
                parked = await self._insisting(self._parked)
                for event in parked if isinstance(parked, list) else []:
                    order_id = event.event.aggregate_id
                    assert order_id in left, f"{order_id} is parked: {event.error}"
                    assert event.error
                    drop = self.client.consumers.drop
                    await self._insisting(
                        partial(drop, _CONSUMER, event.event.position, "poison", all_tenants=True)
                    )
                    left.remove(order_id)

    async def _parked(self) -> list[Any]:
        return list((await self.client.consumers.parked(_CONSUMER)).parked)

    async def _neighbours_are_shown(self) -> None:
        for number in range(self.neighbours):
            query = ListOrders(customer_id=f"customer-{self.seed}-{number}")
            acting = self.client.acting(tenant=TENANTS[number % len(TENANTS)])
            async with asyncio.timeout(_PATIENCE):
                while True:
                    listed = await self._insisting(partial(acting.query, query, OrderList))
                    shown = [order.order_id for order in getattr(listed, "orders", ())]
                    if shown:
                        break
                    await asyncio.sleep(_LOOK)
            assert shown == [f"good-{number}-{self.seed}"]

    async def _log_is_what_was_sent(self) -> None:
        dsn = self.platform.postgres.dsn
        own = f"-{self.seed}"
        log = [row for row in await check_log(dsn, "orders") if row["aggregate_id"].endswith(own)]
        assert sorted(row["aggregate_id"] for row in log) == sorted(self._ids)
        if "shipping" not in self.attendants:
            return
        noted = self._ids.keys() - self._expected("consumer")
        async with asyncio.timeout(_PATIENCE):
            while True:
                notes = await check_log(dsn, "shipping")
                found = [row["aggregate_id"] for row in notes if row["aggregate_id"].endswith(own)]
                assert len(found) == len(set(found)), "an order was noted twice"
                if noted <= set(found):
                    break
                await asyncio.sleep(_LOOK)
        assert noted == set(found)
