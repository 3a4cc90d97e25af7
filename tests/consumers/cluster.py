"""Processes that serve consumers of one log, and instances that speak the plain gRPC contract."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, Protocol
from uuid import uuid4

import grpc
from google.protobuf.message import Message
from intent.background import stop_all
from intent.client import IntentClient
from intent.consumers import ConsumerDatabase, ConsumerServing, ConsumerSettings
from intent.errors import CommandError
from intent.origin import Origin, TraceContext
from intent.service import ServiceSettings
from intent.store import CommandWrite, EventWrite, StreamAppend
from intent.store.postgres import PostgresEventStore
from intent.wire.statuses import error_of_status
from intent_contracts.intent.v1 import (
    Acknowledge,
    Assignment,
    ConsumeRequest,
    ConsumeResponse,
    Delivery,
    Fail,
    Join,
)

from ..service.support import Served
from ..store.builders import ACME, key
from ..support.databases import Database

CONSUME = "/intent.v1.Consumers/Consume"
NAME = "shipping.known-orders"
OWNER = "service:shipping"
TRACE = TraceContext("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "rojo=00f067aa0ba902b7")
TIMEOUT = 90.0
QUICK = ConsumerSettings(
    first_retry=0.01, longest_retry=0.02, lease=8.0, save_every=0.02, drain=0.5, progress_every=0.2
)


class Listening(Protocol):
    """A process that instances can join."""

    @property
    def target(self) -> str: ...


class Process:
    """One process of the context: its own connections, its own gRPC server."""

    def __init__(self, store: PostgresEventStore, host: ConsumerServing, served: Served) -> None:
        self.store = store
        self.host = host
        self.served = served
        self.over = False

    @classmethod
    async def started(
        cls, database: Database, settings: ConsumerSettings = QUICK, port: int = 0, **served_with: Any
    ) -> Process:
        store = await PostgresEventStore.open(database.service, database.context)
        consumers = ConsumerDatabase(store.pool, database.context)
        host = ConsumerServing(store, consumers, settings, notify=lambda: store.wake_ups.tell("consumers"))
        store.wake_ups.on("consumers", host.refresh)
        limits = ServiceSettings(shutdown_grace=5.0, port=port)
        served = Served(settings=limits, store=store, consumers=host, **served_with)
        await served.start()
        await host.start()
        return cls(store, host, served)

    @property
    def target(self) -> str:
        return self.served.server.target

    def client(self, tenant: str = ACME, **options: Any) -> IntentClient:
        options.setdefault("actor", OWNER)
        return self.served.client(tenant, **options)

    async def stop(self) -> None:
        """End as on SIGTERM."""
        if not self.over:
            self.over = True
            await self.served.close()
            await self.host.stop()
            await self.store.close()

    async def crash(self) -> None:
        """End as on SIGKILL: nothing more reaches the database, and its connections break."""
        self.over = True
        await self.store.close()
        await stop_all(self.host._tasks)
        await self.served.server._server.stop(None)  # type: ignore[union-attr]
        await self.served.close()


class Cluster:
    """A database, and the processes and instances that a test starts on it."""

    def __init__(self, database: Database, stack: AsyncExitStack) -> None:
        self.database = database
        self._stack = stack
        self._versions: dict[Any, int] = {}
        self.store: PostgresEventStore

    async def process(self, settings: ConsumerSettings = QUICK, port: int = 0, **served_with: Any) -> Process:
        process = await Process.started(self.database, settings, port, **served_with)
        self._stack.push_async_callback(process.stop)
        return process

    async def joined(self, process: Listening, name: str = NAME, **options: Any) -> Worker:
        worker = await Worker.joined(process, name, **options)
        self._stack.push_async_callback(worker.vanish)
        return worker

    async def record(
        self, order: str, *events: Message | str, tenant: str = ACME, schema_version: int = 2
    ) -> int:
        """Record events of one order; a string stands for an empty event of that type."""
        stream = key(order, tenant)
        version = self._versions.get(stream, 0)
        writes = [
            EventWrite(uuid4(), event, 1, b"")
            if isinstance(event, str)
            else EventWrite(uuid4(), event.DESCRIPTOR.full_name, schema_version, event.SerializeToString())
            for event in events or ("orders.v1.OrderConfirmed",)
        ]
        origin = Origin(tenant, uuid4(), "correlation-1", actor="user:ann", trace=TRACE)
        command = CommandWrite(origin, b"", b"", writes)
        result = await self.store.append([StreamAppend(stream, version, [command])])
        self._versions[stream] = version + len(writes)
        return result.position

    async def record_many(self, orders: int, rounds: int = 1, tenant: str = ACME) -> int:
        position = 0
        for _ in range(rounds):
            for order in range(orders):
                position = await self.record(f"o-{order}", tenant=tenant)
        return position


@asynccontextmanager
async def cluster_on(database: Database) -> AsyncIterator[Cluster]:
    async with AsyncExitStack() as stack:
        cluster = Cluster(database, stack)
        cluster.store = await PostgresEventStore.open(database.service, database.context)
        stack.push_async_callback(cluster.store.close)
        yield cluster


class Worker:
    """An instance of a consumer over plain gRPC, as in any language.

    Attributes:
        seen: Stream and version of each delivery, in the order in which they came.
    """

    def __init__(self, channel: grpc.aio.Channel, call: Any) -> None:
        self._channel = channel
        self._call = call
        self._deliveries: asyncio.Queue[Delivery] = asyncio.Queue()
        self._changed = asyncio.Condition()
        self.partitions: Sequence[int] = ()
        self.total = 0
        self.seen: list[tuple[str, int]] = []
        self._reading: asyncio.Task[None]

    @classmethod
    async def joined(
        cls,
        process: Listening,
        name: str = NAME,
        *,
        tenant: str = ACME,
        roles: str = "consumer",
        actor: str = OWNER,
        token: str = "",
        wait: bool = True,
        **terms: Any,
    ) -> Worker:
        channel = grpc.aio.insecure_channel(process.target)
        claimed = (("x-roles", roles), ("x-actor", actor))
        said = (("authorization", f"Bearer {token}"),) if token else claimed
        metadata = (*((("x-tenant-id", tenant),) if tenant or not token else ()), *said)
        worker = cls(channel, channel.stream_stream(CONSUME)(metadata=metadata))
        terms.setdefault("partitions", 8)
        with suppress(grpc.aio.AioRpcError):  # Refused already; reading raises the reason.
            await worker.write(ConsumeRequest(join=Join(consumer=name, **terms)))
        worker._reading = asyncio.create_task(worker._read())
        if wait:
            await worker.has(lambda: worker.total > 0)
        return worker

    async def _read(self) -> None:
        while (data := await self._call.read()) is not grpc.aio.EOF:
            response = ConsumeResponse.FromString(data)
            if response.HasField("assignment"):
                await self._assigned(response.assignment)
            else:
                self._deliveries.put_nowait(response.delivery)

    async def _assigned(self, assignment: Assignment) -> None:
        async with self._changed:
            self.partitions, self.total = tuple(assignment.partitions), assignment.total
            self._changed.notify_all()

    async def has(self, holds: Callable[[], bool]) -> None:
        """Wait until a condition on its partitions holds."""
        async with asyncio.timeout(TIMEOUT), self._changed:
            await self._changed.wait_for(holds)

    async def take(self) -> Delivery:
        """Return the next delivery."""
        async with asyncio.timeout(TIMEOUT):
            delivery = await self._deliveries.get()
        self.seen.append((delivery.event.aggregate_id, delivery.event.version))
        return delivery

    async def take_all(self, count: int, *, answer: bool = True) -> list[Delivery]:
        """Return the next `count` deliveries, each acknowledged unless `answer` is False."""
        taken = []
        for _ in range(count):
            taken.append(await self.take())
            if answer:
                await self.acknowledge(taken[-1])
        return taken

    @property
    def waiting(self) -> int:
        """How many deliveries have arrived and were not taken."""
        return self._deliveries.qsize()

    async def write(self, request: ConsumeRequest) -> None:
        await self._call.write(request.SerializeToString())

    async def acknowledge(self, delivery: Delivery) -> None:
        await self.write(ConsumeRequest(acknowledge=Acknowledge(position=delivery.event.position)))

    async def fail(self, delivery: Delivery, error: str = "no") -> None:
        await self.write(ConsumeRequest(fail=Fail(position=delivery.event.position, error=error)))

    async def leave(self) -> None:
        """End its side of the call, and wait for the end of the call."""
        await self._call.done_writing()
        await self.ended()

    async def ended(self) -> grpc.StatusCode:
        """Wait until the call has ended; return its status."""
        async with asyncio.timeout(TIMEOUT):
            with suppress(grpc.aio.AioRpcError):
                await self._reading
            code: grpc.StatusCode = await self._call.code()
            return code

    async def error(self) -> str:
        """Wait until the call has ended; return its status message."""
        await self.ended()
        details: str = await self._call.details()
        return details

    async def failure(self) -> CommandError:
        """Wait until the call has ended; return its error as the Python client raises it."""
        code, details = await self.ended(), await self.error()
        return error_of_status(code, details, tuple(await self._call.trailing_metadata()))

    async def vanish(self) -> None:
        """Disconnect at once, as when it is killed."""
        self._call.cancel()
        self._reading.cancel()
        await asyncio.wait([self._reading])
        await self._channel.close()


async def until(holds: Callable[[], Any]) -> Any:
    """Wait until an asynchronous condition holds; return what it returned."""
    async with asyncio.timeout(TIMEOUT):
        while not (result := await holds()):  # noqa: ASYNC110 - nothing signals when it holds
            await asyncio.sleep(0.01)
    return result
