"""The end of the log is lost under load: an asynchronous standby is promoted, or a backup restored."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from uuid import UUID

import asyncpg
from intent.client import IntentClient
from intent.dev.platform import LocalPlatform
from intent.dev.services import Postgres
from intent.errors import Rejected
from intent.model import Consumer, EventMetadata, consumes
from intent_contracts.intent.v1 import CommandOutcome
from intent_contracts.orders.v1 import ConfirmOrder, LineChanged, OrderCancelled, OrderConfirmed, OrderPlaced

from ..store.standbys import copied, set_back, standby_of
from .logs import Log, check_log, check_read_models, fetched
from .storm import PATIENCE, TENANTS, Storm

__all__ = ["LossStorm", "promoted", "restored"]

_TRIED_AGAIN = 40
_LOOK = 0.1
_CLOSING = {
    "ORDER_ALREADY_CONFIRMED": ("orders.v1.OrderConfirmed",),
    "ORDER_ALREADY_CANCELLED": ("orders.v1.OrderCancelled",),
    "ORDER_NOT_OPEN": ("orders.v1.OrderConfirmed", "orders.v1.OrderCancelled"),
}
"""Rejections that rest on an event of the order."""


@contextmanager
def promoted(platform: LocalPlatform, folder: Path) -> Iterator[SimpleNamespace]:
    """Have a standby that takes the server's place, and its address, without what it had not got yet."""
    server = platform.postgres
    with standby_of(server, folder / "standby") as pair:

        async def keep() -> None:
            await pair.caught_up()
            pair.stall()

        async def lose() -> None:
            server.kill()
            pair._signal(signal.SIGKILL)
            pair.standby.kill()
            await asyncio.to_thread(successor.start)
            connection = await asyncpg.connect(server.dsn)
            await connection.execute("select pg_promote()")
            await connection.close()

        successor = Postgres(folder / "standby", port=server.port)
        try:
            yield SimpleNamespace(keep=keep, lose=lose)
        finally:
            successor.stop()


@contextmanager
def restored(platform: LocalPlatform, folder: Path) -> Iterator[SimpleNamespace]:
    """Have a backup from which the server is restored to a point in time, at its address."""
    server = platform.postgres
    copy, points = copied(server, folder / "copy"), list[str]()
    restoring = set_back(server, copy, "0/0")

    async def keep() -> None:
        rows = await fetched(server.dsn, "select pg_current_wal_lsn()::text as lsn")
        points.append(rows[0]["lsn"])

    async def lose() -> None:
        nonlocal restoring
        server.kill()
        restoring = set_back(server, copy, points[0])
        await asyncio.to_thread(restoring.__enter__)

    try:
        yield SimpleNamespace(keep=keep, lose=lose)
    finally:
        if points:
            restoring.__exit__(None, None, None)


@dataclass
class Copies:
    """What readers outside have of the log, by the ids of events.

    Attributes:
        consumed: What was delivered to a durable consumer.
        subscribed: What a subscriber of each tenant has, in order; it begins again when it is told to.
        begun_again: How often one was told.
    """

    consumed: set[UUID] = field(default_factory=set)
    subscribed: dict[str, list[UUID]] = field(default_factory=dict)
    begun_again: int = 0

    async def follow(self, client: IntentClient, tenant: str) -> None:
        """Keep a copy of a tenant's log, and drop it when the log has lost a part of it."""
        while True:
            copy = self.subscribed[tenant] = []
            try:
                async for event in client.events():
                    copy += [UUID(event.event_id)]
            except Rejected as lost:
                if lost.reason != "POSITION_LOST":
                    raise
                self.begun_again += 1

    def missing(self, log: Log) -> str:
        """Return what is missing or too much in a copy, in a sentence; empty: nothing."""
        behind = sum(row["event_id"] not in self.consumed for row in log)
        if behind:
            return f"{behind} events of the log were not delivered to the consumer"
        for tenant, copy in self.subscribed.items():
            if copy != [row["event_id"] for row in log if row["tenant"] == tenant]:
                return f"the copy of {tenant} is not its log: {len(copy)} events"
        return ""


def _witness(copies: Copies) -> Consumer:
    class Witness(Consumer):
        name = "chaos.losses"

        @consumes
        def placed(self, event: OrderPlaced, meta: EventMetadata) -> None:
            copies.consumed.add(meta.event_id)

        @consumes
        def changed(self, event: LineChanged, meta: EventMetadata) -> None:
            copies.consumed.add(meta.event_id)

        @consumes
        def confirmed(self, event: OrderConfirmed, meta: EventMetadata) -> None:
            copies.consumed.add(meta.event_id)

        @consumes
        def cancelled(self, event: OrderCancelled, meta: EventMetadata) -> None:
            copies.consumed.add(meta.event_id)

    return Witness()


class LossStorm(Storm):
    """Load on two processes that live through the loss of the log's end."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.copies = Copies()
        self.lost = 0

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Have consumers and subscribers for the duration of the block."""
        runner = self.client.acting(tenant="", roles=("*",), actor="service:chaos").consume(
            _witness(self.copies), all_tenants=True
        )
        tasks = [
            asyncio.create_task(runner.run()),
            *(
                asyncio.create_task(self.copies.follow(self.client.acting(tenant=t, roles=("*",)), t))
                for t in TENANTS
            ),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.client.close()

    async def lose(self, losing: SimpleNamespace, seconds: float, more: float) -> None:
        """Lose what is appended for some seconds, go on for some more, and be quiet."""
        callers = [asyncio.create_task(self._caller(n)) for n in range(self.callers)]
        try:
            await asyncio.sleep(more)
            await losing.keep()
            await asyncio.sleep(seconds)
            before = await fetched(self.platform.postgres.dsn, "select event_id from orders.events")
            await losing.lose()
            await self._try_again()
            await asyncio.sleep(more)
        finally:
            self.over.set()
            await asyncio.gather(*callers)
        left = {row["event_id"] for row in await check_log(self.platform.postgres.dsn, "orders")}
        self.lost = sum(row["event_id"] not in left for row in before)

    async def _try_again(self) -> None:
        """Have the orders confirmed that processes knew last, whatever has become of them."""
        last = [s for s in self.sent if s.ended][-_TRIED_AGAIN:]
        again = [self.send(s.tenant, ConfirmOrder(order_id=s.command.order_id)) for s in last]  # type: ignore[attr-defined]
        await asyncio.gather(*again)

    async def check(self) -> None:
        """Check that everything equals what the log says now; raise AssertionError otherwise."""
        dsn = self.platform.postgres.dsn
        log = await check_log(dsn, "orders")
        await self._decided_on_the_log(log)
        await check_read_models(dsn, "orders", self.client.acting(roles=("*",)), PATIENCE)
        wrong = ""
        try:
            async with asyncio.timeout(PATIENCE):
                while wrong := self.copies.missing(log):  # noqa: ASYNC110 - nothing signals it
                    await asyncio.sleep(_LOOK)
        except TimeoutError:
            raise AssertionError(wrong) from None

    async def _decided_on_the_log(self, log: Log) -> None:
        """Check that each rejection rests on an event that the log has."""
        events = [(row["tenant"], row["aggregate_id"], row["type"], row["position"]) for row in log]
        rows = await fetched(self.platform.postgres.dsn, "select * from orders.commands")
        for row in rows:
            reason = CommandOutcome.FromString(row["outcome"]).failure.reason
            if reason not in _CLOSING:
                continue
            rests = any(
                (tenant, order) == (row["tenant"], row["aggregate_id"])
                and kind in _CLOSING[reason]
                and position <= row["position"]
                for tenant, order, kind, position in events
            )
            assert rests, f"{reason} for {row['aggregate_id']} of {row['tenant']} rests on nothing in the log"
