"""Starts the measured saga where its context would: in the process that recorded the event.

The process hears on a Unix socket which orders are to be fulfilled, a line each, and brings the event
to the saga as its route step does. So both sides of the comparison begin with one short request, and
neither pays for what comes before its workflow.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from base64 import b64decode, b64encode
from collections.abc import Callable
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from intent.model import BoundContext
from intent.records import LogEntry
from intent.saga_host import EventDelivery
from intent_contracts.orders.v1 import CheckoutStarted, PlaceOrder
from temporalio.client import Client

__all__ = ["HEARD", "SOCKET", "Starter", "StartingDelivery"]

HEARD: ContextVar[bool] = ContextVar("heard", default=False)
"""Whether an event that is delivered came over the socket."""

SOCKET = "BENCH_SOCKET"
"""The environment variable that names the socket."""


class StartingDelivery(EventDelivery):
    """Brings events to sagas, also those that come over a socket."""

    def __init__(self, context: BoundContext, client: Client, sagas_start_here: Callable[[], bool]) -> None:
        super().__init__(context, client, sagas_start_here)
        path = os.environ[SOCKET]
        self._listening = asyncio.create_task(asyncio.start_unix_server(self._hear, path))

    async def _hear(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        HEARD.set(True)
        with contextlib.suppress(ConnectionError), contextlib.closing(writer):
            while line := await reader.readline():
                tenant, order_id, event = line.split()
                await self.deliver([_entry(tenant.decode(), order_id.decode(), b64decode(event))])
                writer.write(b"\n")


class Starter:
    """Has the sagas of orders started.

    Args:
        path: The socket.
        tenant: Whose orders they are.
    """

    def __init__(self, path: Path, tenant: str) -> None:
        self._path = path
        self._tenant = tenant
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def start(self, order: PlaceOrder) -> None:
        """Starts the saga of an order; returns when it is started."""
        reader, writer = self._idle.pop() if self._idle else await asyncio.open_unix_connection(self._path)
        writer.write(f"{self._tenant} {order.order_id} {_event(order)}\n".encode())
        if not await reader.readline():
            raise ConnectionError(f"the saga of order {order.order_id} could not be started")
        self._idle.append((reader, writer))

    async def close(self) -> None:
        """Closes the connections."""
        for _, writer in self._idle:
            writer.close()
            await writer.wait_closed()


def _event(order: PlaceOrder) -> str:
    event = CheckoutStarted(
        customer_id=order.customer_id,
        lines=order.lines,
        total=order.lines[0].unit_price,
        checkout=order.checkout,
    )
    return b64encode(event.SerializeToString()).decode()


def _entry(tenant: str, order_id: str, event: bytes) -> LogEntry:
    """Returns the event as the log has it."""
    return LogEntry(
        position=1,
        tenant=tenant,
        aggregate_type="Order",
        aggregate_id=order_id,
        version=1,
        event_id=uuid4(),
        type=CheckoutStarted.DESCRIPTOR.full_name,
        schema_version=1,
        data=event,
        command_id=uuid4(),
        correlation_id=order_id,
        causation_id="",
        actor="bench",
        traceparent="",
        recorded_at=datetime.now(UTC),
    )
