"""Callers who place and change orders while the machinery below them is killed and restarted."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from google.protobuf.message import Message
from intent.client import IntentClient
from intent.contracts import Registry
from intent.dev.platform import LocalPlatform
from intent.errors import CommandError, Rejected, Unavailable
from intent_contracts.intent.v1 import CommandResult
from intent_contracts.orders.v1 import CancelOrder, ChangeLine, ConfirmOrder, Money, OrderLine, PlaceOrder

from .logs import check_log, check_read_models

TENANTS = ("acme", "globex", "initech")
ROLES = ("customer", "service", "operator")
PATIENCE = 120.0
_AT_ONCE = 24


@dataclass(slots=True)
class Sent:
    """A command that was sent, and its outcome.

    Attributes:
        tenant: The tenant.
        command: The command.
        command_id: Its id.
        began: The time of the first attempt, on the monotonic clock.
        ended: The time of the answer; 0 while it is in flight.
        answer: Its result, or the reason of its failure.
    """

    tenant: str
    command: Message
    command_id: UUID
    began: float
    ended: float = 0.0
    answer: CommandResult | str | None = None


class Target(Protocol):
    """The target of a storm."""

    @property
    def target(self) -> str:
        """Where clients connect."""
        ...


@dataclass
class Storm:
    """Load on one context, from a number of callers.

    Attributes:
        platform: The platform on which it runs.
        service: The context process, or several.
        seed: The seed of the random choices; repeats a storm as far as the machine allows.
        callers: The number of callers.
        rest: Seconds for which each rests after a command, on average.
    """

    platform: LocalPlatform
    service: Target
    seed: int
    callers: int = 24
    rest: float = 0.0
    sent: list[Sent] = field(default_factory=list)
    restarts: list[tuple[float, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.over = asyncio.Event()
        registry = Registry.load()
        self.client = IntentClient.connect(
            self.service.target, tenant=TENANTS[0], roles=ROLES, timeout=PATIENCE, registry=registry
        )

    async def blow(self, disruptions: Sequence[Callable[[], object]], pause: float) -> None:
        """Run the callers, and the disruptions one after the other in between."""
        callers = [asyncio.create_task(self._caller(n)) for n in range(self.callers)]
        try:
            for disrupt in disruptions:
                await asyncio.sleep(pause * self.random.uniform(0.5, 1.5))
                began = time.monotonic()
                await asyncio.to_thread(disrupt)
                self.restarts.append((began, time.monotonic()))
            await asyncio.sleep(pause)
        finally:
            self.over.set()
            await asyncio.gather(*callers)

    def restart_postgres(self) -> None:
        """Stop PostgreSQL under load and start it again."""
        self.platform.postgres.restart()

    def kill_postgres(self) -> None:
        """Kill PostgreSQL, which recovers from its log, and start it again."""
        self.platform.postgres.kill()
        self.platform.postgres.start()

    def restart_temporal(self) -> None:
        """Kill Temporal and start it again."""
        self.platform.temporal.kill()
        self.platform.temporal.start()

    async def send(self, tenant: str, command: Message, command_id: UUID | None = None) -> Sent:
        """Send a command with one id until it is answered."""
        sent = Sent(tenant, command, command_id or self._new_id(), time.monotonic())
        if command_id is None:
            self.sent.append(sent)
        try:
            sent.answer = await self._insist(sent)
        except CommandError as error:
            sent.answer = error.reason
        sent.ended = time.monotonic()
        return sent

    async def _insist(self, sent: Sent) -> CommandResult:
        client = self.client.acting(tenant=sent.tenant)
        return await client.execute(sent.command, command_id=sent.command_id, applied_only=True)

    async def _caller(self, number: int) -> None:
        own = random.Random(f"{self.seed}-{number}")
        tenant = TENANTS[number % len(TENANTS)]
        orders = 0
        while not self.over.is_set():
            orders += 1
            order_id = f"order-{number}-{orders}"
            await self.send(tenant, _place(order_id))
            for _ in range(own.randint(0, 5)):
                await asyncio.sleep(own.uniform(0, 2 * self.rest))
                await self.send(tenant, _step(own, order_id))

    def _new_id(self) -> UUID:
        return UUID(int=self.random.getrandbits(128), version=4)

    # The invariants, once it is quiet.

    async def check(self) -> None:
        """Check every promise; raise AssertionError with what was broken."""
        unanswered = [s for s in self.sent if isinstance(s.answer, str) and s.answer in _NO_ANSWER]
        assert not unanswered, f"{len(unanswered)} commands were never answered: {unanswered[:3]}"
        await self._repeats_change_nothing()
        await self._log_is_what_was_answered()
        await check_read_models(self.platform.postgres.dsn, "orders", self.client, PATIENCE)
        await self._nothing_is_stuck()

    def slowest_after_restart(self) -> float:
        """Return the longest time from a restart to the answer of a command that was in flight before it."""
        return max(
            (
                sent.ended - restarted
                for began, restarted in self.restarts
                for sent in self.sent
                if sent.began < began < sent.ended
            ),
            default=0.0,
        )

    async def _repeats_change_nothing(self) -> None:
        gate = asyncio.Semaphore(_AT_ONCE)

        async def repeat(first: Sent) -> None:
            async with gate:
                again = await self.send(first.tenant, first.command, first.command_id)
            if isinstance(first.answer, CommandResult):
                assert isinstance(again.answer, CommandResult), f"{first} was lost: {again.answer}"
                assert again.answer.duplicate
                assert (again.answer.version, again.answer.position) == (
                    first.answer.version,
                    first.answer.position,
                )
            else:
                assert again.answer == first.answer

        await asyncio.gather(*(repeat(sent) for sent in self.sent))

    async def _log_is_what_was_answered(self) -> None:
        log = await check_log(self.platform.postgres.dsn, "orders")
        answered = [e for s in self.sent if isinstance(s.answer, CommandResult) for e in s.answer.events]
        assert sorted(e.position for e in answered) == [row["position"] for row in log]

    async def _nothing_is_stuck(self) -> None:
        placed = {(s.tenant, s.command.order_id) for s in self.sent if isinstance(s.command, PlaceOrder)}
        refused: set[str] = set()
        for tenant, order_id in self.random.sample(sorted(placed), min(20, len(placed))):
            client = self.client.acting(tenant=tenant)
            try:
                await client.execute(CancelOrder(order_id=order_id, reason="the end"))
            except Rejected as rejection:
                refused.add(rejection.reason)
        assert refused <= {"ORDER_ALREADY_CANCELLED"}


_NO_ANSWER = {Unavailable.__name__, "DEADLINE_EXCEEDED", "STILL_WAITING", "INTERNAL", "UNREACHABLE"}


def _place(order_id: str) -> PlaceOrder:
    price = Money(minor_units=250, currency="EUR")
    lines = [OrderLine(line_id=str(n), sku=f"sku-{n}", quantity=n, unit_price=price) for n in (1, 2)]
    return PlaceOrder(order_id=order_id, customer_id="ann", lines=lines)


def _step(own: random.Random, order_id: str) -> Message:
    kind = own.random()
    if kind < 0.8:
        return ChangeLine(order_id=order_id, line_id=own.choice("12"), quantity=own.randint(1, 500))
    if kind < 0.9:
        return ConfirmOrder(order_id=order_id)
    return CancelOrder(order_id=order_id, reason="changed my mind")
