"""Start of the measured saga where its context would start it: in the process that recorded the event.

The process reads from a Unix socket which orders to fulfil, one per line, and delivers the event to the
saga as its route step does. So both sides of the comparison start with one short request, and neither
pays for what comes before its workflow.
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

__all__ = ["FROM_SOCKET", "SOCKET", "Starter", "StartingDelivery"]

FROM_SOCKET: ContextVar[bool] = ContextVar("from_socket", default=False)
"""Whether the event that is being delivered came over the socket."""

SOCKET = "BENCH_SOCKET"
"""The environment variable that names the socket."""


class StartingDelivery(EventDelivery):
    """Delivery of events to sagas, including those that come over a socket."""

    def __init__(self, context: BoundContext, client: Client, sagas_start_here: Callable[[], bool]) -> None:
        super().__init__(context, client, sagas_start_here)
        path = os.environ[SOCKET]
        self._listening = asyncio.create_task(asyncio.start_unix_server(self._receive, path))

    async def _receive(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        FROM_SOCKET.set(True)
        with contextlib.suppress(ConnectionError), contextlib.closing(writer):
            while line := await reader.readline():
                tenant, order_id, event = line.split()
                await self.deliver([_entry(tenant.decode(), order_id.decode(), b64decode(event))])
                writer.write(b"\n")


class Starter:
    """A client that starts the sagas of orders.

    Args:
        path: The socket.
        tenant: The tenant of the orders.
    """

    def __init__(self, path: Path, tenant: str) -> None:
        self._path = path
        self._tenant = tenant
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def start(self, order: PlaceOrder) -> None:
        """Start the saga of an order and wait until it is started."""
        reader, writer = self._idle.pop() if self._idle else await asyncio.open_unix_connection(self._path)
        writer.write(f"{self._tenant} {order.order_id} {_event(order)}\n".encode())
        if not await reader.readline():
            raise ConnectionError(f"the saga of order {order.order_id} could not be started")
        self._idle.append((reader, writer))

    async def close(self) -> None:
        """Close the connections."""
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
    """Return the event as a log entry."""
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
