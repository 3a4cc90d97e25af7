"""A context's read models on a real database, driven by tests."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any
from uuid import uuid4

import asyncpg
from google.protobuf.message import Message
from intent.contracts import ReadModelContract, Registry
from intent.guarding import Guard
from intent.model import BoundContext, Projection
from intent.origin import Origin
from intent.projections.reader import ReadModels
from intent.projections.supervisor import ProjectionSettings, ProjectionSupervisor
from intent.projections.tables import ensure_tables
from intent.records import StreamKey
from intent.store import CommandWrite, EventWrite, StreamAppend
from intent.store.postgres import PostgresEventStore, open_pool
from intent_contracts.intent.v1 import ProjectionStatus
from intent_contracts.orders.v1 import (
    LineChanged,
    Money,
    OrderCancelled,
    OrderConfirmed,
    OrderLine,
    OrderPlaced,
    OrderSummary,
    OrderView,
)
from orders.context import context as orders

from ..support.databases import Database

ACME, GLOBEX = "acme", "globex"
REGISTRY = Registry.load()
SUMMARIES, VIEWS = orders.projections[1], orders.projections[0]


def bound(*projections: type[Projection[Any]]) -> BoundContext:
    """Return the orders context with these projections in place of its own for the same read models."""
    others = {projection.read_model for projection in projections}
    kept = [p for p in orders.projections if p.read_model not in others]
    return replace(orders, projections=[*kept, *projections]).bind(REGISTRY)


@dataclass(frozen=True)
class ReshapedRegistry:
    """The registry, with a changed contract of one read model."""

    read_models: Mapping[str, ReadModelContract]


def reshaped(context: BoundContext, model: type[Message], *, indexed: tuple[str, ...]) -> BoundContext:
    """Return the context, as if these fields of a read model were indexed."""
    name = model.DESCRIPTOR.full_name
    changed = replace(REGISTRY.read_models[name], indexed=indexed)
    models = MappingProxyType({**REGISTRY.read_models, name: changed})
    return replace(context, registry=ReshapedRegistry(models))  # type: ignore[arg-type]


def euros(amount: int) -> Money:
    return Money(minor_units=amount * 100, currency="EUR")


def placed(customer: str = "ann", lines: int = 1) -> OrderPlaced:
    bought = [OrderLine(line_id=f"l-{n}", sku="tea", quantity=1, unit_price=euros(5)) for n in range(lines)]
    return OrderPlaced(customer_id=customer, lines=bought, currency="EUR", total=euros(5 * lines))


def changed(line: str = "l-0", quantity: int = 2) -> LineChanged:
    return LineChanged(line_id=line, quantity=quantity, total=euros(5 * quantity))


def confirmed() -> OrderConfirmed:
    return OrderConfirmed(total=euros(5))


def cancelled(reason: str = "too dear") -> OrderCancelled:
    return OrderCancelled(reason=reason)


class Cluster:
    """One database, and the processes that a test starts on it."""

    def __init__(self, database: Database, stack: AsyncExitStack) -> None:
        self.database = database
        self._stack = stack
        self._versions: dict[StreamKey, int] = {}
        self._pools: dict[str, Any] = {}
        self.store: PostgresEventStore
        self.reader: ReadModels

    async def open(self, context: BoundContext) -> None:
        """Migrate for a context and connect."""
        await self.migrate(context)
        self.store = await self.open_store()
        self.reader = ReadModels(await self.pool(self.database.query), context)

    async def open_store(self) -> PostgresEventStore:
        """Open the log as another process would."""
        store = await PostgresEventStore.open(self.database.service, self.database.context)
        self._stack.push_async_callback(store.close)
        return store

    async def pool(self, dsn: str) -> Any:
        if dsn not in self._pools:
            self._pools[dsn] = await open_pool(dsn, connections=4, read_only=dsn == self.database.query)
            self._stack.callback(self._pools[dsn].terminate)
        return self._pools[dsn]

    async def migrate(self, context: BoundContext) -> None:
        """Declare the context's projections, as a deployment does."""
        connection = await asyncpg.connect(self.database.owner)
        try:
            await ensure_tables(connection, context)
        finally:
            await connection.close()

    async def process(
        self,
        context: BoundContext,
        settings: ProjectionSettings | None = None,
        *,
        own_store: bool = False,
        guard: Guard | None = None,
    ) -> ProjectionSupervisor:
        """Run the projections of a context as one of its processes does."""
        store = await self.open_store() if own_store else self.store
        supervisor = ProjectionSupervisor(context, store, store.pool, settings, guard=guard)
        await supervisor.start()
        self._stack.push_async_callback(supervisor.stop)
        return supervisor

    async def record(self, order: str, *events: Message, tenant: str = ACME) -> int:
        """Append events to an order's stream and return the position after them."""
        return await self.record_many({order: events}, tenant=tenant)

    async def record_many(self, orders: Mapping[str, Sequence[Message]], *, tenant: str = ACME) -> int:
        """Append events to several orders at once and return the position after them."""
        appends = []
        for order, events in orders.items():
            key = StreamKey(tenant, "Order", order)
            before = self._versions.get(key, 0)
            self._versions[key] = before + len(events)
            appends.append(StreamAppend(key, before, [_command(events)]))
        return (await self.store.append(appends)).position

    def forget(self, order: str, events: int = 1, *, tenant: str = ACME) -> None:
        """Forget events that were not appended after all."""
        self._versions[StreamKey(tenant, "Order", order)] -= events

    async def sql(self, statement: str, *arguments: Any) -> list[Any]:
        """Run a statement as the administrator, bypassing row level security."""
        connection = await asyncpg.connect(
            self.database.admin, server_settings={"search_path": self.database.context}
        )
        try:
            return list(await connection.fetch(statement, *arguments))
        finally:
            await connection.close()

    async def rows(self, table: str = "order_summary") -> list[Any]:
        """Return every row of a read model as it is stored, of all tenants."""
        return await self.sql(f"select * from {table} order by tenant, order_id")

    async def view(self, order: str, tenant: str = ACME) -> OrderView | None:
        return await self.reader.get(OrderView, tenant, order)

    async def summary(self, order: str, tenant: str = ACME) -> OrderSummary | None:
        return await self.reader.get(OrderSummary, tenant, order)


def _command(events: Sequence[Message]) -> CommandWrite:
    writes = [
        EventWrite(
            uuid4(),
            event.DESCRIPTOR.full_name,
            REGISTRY.event(event.DESCRIPTOR.full_name).version,
            event.SerializeToString(),
        )
        for event in events
    ]
    return CommandWrite(Origin("", uuid4(), "", actor="user:ann"), b"fingerprint", b"", writes)


async def until_at(supervisor: ProjectionSupervisor, position: int, *names: str) -> None:
    """Wait until projections, by default all, are at a position."""
    behind: Sequence[str] = []
    for _ in range(600):
        behind = await supervisor.reach(position, 30, names or None)
        if not behind:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{behind} did not get to {position}: {await supervisor.statuses()}")


async def status(supervisor: ProjectionSupervisor, name: str) -> ProjectionStatus:
    return next(s for s in await supervisor.statuses() if s.name == name)


async def until_failing(supervisor: ProjectionSupervisor, name: str, attempts: int = 1) -> ProjectionStatus:
    """Wait until a projection has failed `attempts` times on one event; return its status."""
    for _ in range(600):
        current = await status(supervisor, name)
        if current.attempts >= attempts:
            return current
        await asyncio.sleep(0.05)
    raise AssertionError(f"{name} does not fail: {current}")
