"""Who watches the log of orders: consumers of all tenants for the life of a bed, a subscriber per tenant."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field

from intent.client import IntentClient
from intent.model import Consumer, EventMetadata, consumes
from intent_contracts.orders.v1 import (
    CancellationRequested,
    CheckoutStarted,
    LineChanged,
    OrderCancelled,
    OrderCompleted,
    OrderConfirmed,
    OrderPlaced,
    OrderShipped,
)

from .logs import Log

__all__ = ["Consumed", "Subscriber", "consuming"]

_INSTANCES = 2
Stream = tuple[str, str]


@dataclass
class Consumed:
    """What the instances of one consumer were given.

    Attributes:
        versions: The versions by tenant and order, each at its first delivery, in that order.
        repeats: How many deliveries were repeats, which are allowed.
    """

    versions: dict[Stream, list[int]] = field(default_factory=lambda: defaultdict(list))
    repeats: int = 0

    def take(self, meta: EventMetadata) -> None:
        """Note a delivery."""
        versions = self.versions[meta.tenant, meta.aggregate_id]
        if meta.version in versions:
            self.repeats += 1
        else:
            versions.append(meta.version)

    def missing(self, log: Log) -> int:
        """Return how many events of a log were not delivered yet."""
        return sum(row["version"] not in self.versions[row["tenant"], row["aggregate_id"]] for row in log)

    def out_of_order(self, tenants: Iterable[str]) -> list[str]:
        """Return the orders of tenants of which something was left out or came too early, in sentences."""
        own = set(tenants)
        return [
            f"the consumer was given {order} of {tenant} at versions {versions}"
            for (tenant, order), versions in self.versions.items()
            if tenant in own and versions != list(range(1, len(versions) + 1))
        ]


def _witness(consumed: Consumed) -> Consumer:
    class Witness(Consumer):
        name = "chaos.witness"

        @consumes
        def placed(self, event: OrderPlaced, meta: EventMetadata) -> None:
            consumed.take(meta)

        @consumes
        def changed(self, event: LineChanged, meta: EventMetadata) -> None:
            consumed.take(meta)

        @consumes
        def confirmed(self, event: OrderConfirmed, meta: EventMetadata) -> None:
            consumed.take(meta)

        @consumes
        def cancelled(self, event: OrderCancelled, meta: EventMetadata) -> None:
            consumed.take(meta)

        @consumes
        def requested(self, event: CancellationRequested, meta: EventMetadata) -> None:
            consumed.take(meta)

        @consumes
        def checked_out(self, event: CheckoutStarted, meta: EventMetadata) -> None:
            consumed.take(meta)

        @consumes
        def shipped(self, event: OrderShipped, meta: EventMetadata) -> None:
            consumed.take(meta)

        @consumes
        def completed(self, event: OrderCompleted, meta: EventMetadata) -> None:
            consumed.take(meta)

    return Witness()


@asynccontextmanager
async def consuming(client: IntentClient) -> AsyncIterator[Consumed]:
    """Run the instances of a consumer of all tenants for the duration of the block."""
    consumed = Consumed()
    consumer = _witness(consumed)
    acting = client.acting(tenant="", actor="service:chaos")
    runners = [acting.consume(consumer, all_tenants=True) for _ in range(_INSTANCES)]
    running = [asyncio.create_task(runner.run()) for runner in runners]
    try:
        yield consumed
    finally:
        for runner in runners:
            runner.stop()
        await asyncio.wait(running, timeout=10)
        for task in running:
            task.cancel()


@dataclass
class Subscriber:
    """A subscriber of one tenant's events.

    Attributes:
        tenant: The tenant.
        seen: The positions of the events, in the order in which they came.
    """

    tenant: str
    seen: list[int] = field(default_factory=list)

    @classmethod
    @asynccontextmanager
    async def following(cls, client: IntentClient, tenants: Sequence[str]) -> AsyncIterator[list[Subscriber]]:
        """Follow the log of each tenant for the duration of the block."""
        subscribers = [cls(tenant) for tenant in tenants]
        async with AsyncExitStack() as stack:
            for subscriber in subscribers:
                task = asyncio.create_task(subscriber._follow(client.acting(tenant=subscriber.tenant)))
                stack.push_async_callback(_ended, task)
            yield subscribers

    async def _follow(self, client: IntentClient) -> None:
        async for event in client.events():
            self.seen.append(event.position)

    def problem(self, log: Log) -> str:
        """Return what it was given that is not the tenant's log, in a sentence; empty when it is."""
        expected = [row["position"] for row in log if row["tenant"] == self.tenant]
        if self.seen == expected:
            return ""
        return f"the subscriber of {self.tenant} was given positions {self.seen}, the log has {expected}"


async def _ended(task: asyncio.Task[None]) -> None:
    if task.done():
        await task
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
