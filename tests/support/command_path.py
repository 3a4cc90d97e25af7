"""A context's command path on real PostgreSQL and a real Temporal server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from uuid import UUID, uuid4

import asyncpg
import pytest
import pytest_asyncio
from google.protobuf.message import Message
from intent.commands import CommandRequest
from intent.contracts import Owner, Registry
from intent.dev.services import TemporalServer
from intent.model import BoundContext, load_context
from intent.origin import Origin
from intent.process.assembly import CommandPath, ContextProcess
from intent.projections.tables import ensure_tables
from intent.settings.config import Settings, load_settings
from intent_contracts.orders.v1 import Money, OrderLine, PlaceOrder

from .databases import Database

Running = Callable[[], AbstractAsyncContextManager[CommandPath]]


@pytest.fixture(scope="session")
def temporal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TemporalServer]:
    """A Temporal server of its own for this run."""
    with TemporalServer(log=tmp_path_factory.mktemp("temporal") / "temporal.log") as server:
        yield server


@pytest.fixture(scope="session")
def bound() -> BoundContext:
    """The orders context, bound to its contracts."""
    return load_context("orders").bind(Registry.load())


@pytest_asyncio.fixture
async def settings(database: Database, temporal: TemporalServer, bound: BoundContext) -> Settings:
    """The settings of a process on a fresh database."""
    return await settings_on(database, temporal, bound)


async def settings_on(
    database: Database, temporal: TemporalServer, bound: BoundContext, **overrides: object
) -> Settings:
    """Create the tables of the read models in a database, and return the settings of a process on it."""
    connection = await asyncpg.connect(database.owner)
    try:
        await ensure_tables(connection, bound)
    finally:
        await connection.close()
    return load_settings(
        context="orders",
        dev=True,
        port=0,
        metrics_port="off",
        database_url=database.service,
        query_database_url=database.query,
        temporal_address=temporal.address,
        **overrides,
    )


@pytest.fixture
def running(settings: Settings, bound: BoundContext) -> Running:
    """Return a function that starts a process of the context."""

    @asynccontextmanager
    async def start() -> AsyncIterator[CommandPath]:
        async with ContextProcess(settings, bound).started() as path:
            yield path

    return start


@pytest_asyncio.fixture
async def path(running: Running) -> AsyncIterator[CommandPath]:
    """The command path of a running process."""
    async with running() as started:
        yield started


Requests = Callable[..., CommandRequest]


@pytest.fixture
def request_of(bound: BoundContext) -> Requests:
    """Return a function that builds requests of tenant acme."""

    def make(
        command: Message,
        *,
        tenant: str = "acme",
        command_id: UUID | None = None,
        expected: int | None = None,
        correlation: str = "",
        applied_only: bool = False,
        owner: Owner | None = None,
    ) -> CommandRequest:
        return CommandRequest(
            contract=bound.registry.command(command.DESCRIPTOR.full_name),
            command=command,
            origin=Origin(tenant, command_id or uuid4(), correlation or uuid4().hex, actor="user:ann"),
            expected_version=expected,
            applied_only=applied_only,
            owner=owner,
        )

    return make


def place(order_id: str, lines: int = 1) -> PlaceOrder:
    """Return a command that places an order."""
    return PlaceOrder(
        order_id=order_id,
        customer_id="ann",
        lines=[
            OrderLine(
                line_id=str(n), sku="tea", quantity=1, unit_price=Money(minor_units=500, currency="EUR")
            )
            for n in range(1, lines + 1)
        ],
    )


async def eventually(check: Callable[[], Awaitable[bool]], seconds: float = 20) -> None:
    """Wait until a check holds, for what another process does in its own time."""
    async with asyncio.timeout(seconds):
        while not await check():  # noqa: ASYNC110 - it looks at another process
            await asyncio.sleep(0.05)
