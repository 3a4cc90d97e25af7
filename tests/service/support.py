"""A context served from memory: every part is real except the durable ones."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar
from uuid import UUID

from google.protobuf.message import Message
from intent.auditing import AuditLog, Auditor, MemoryAudit
from intent.background import Background
from intent.client import IntentClient, RetryPolicy
from intent.commands import AggregateCache, CommandHandling
from intent.commands.outcomes import restored
from intent.commands.requests import CommandReport, CommandRequest, SubmittedCommand
from intent.consumers import ConsumerServing
from intent.contracts import Owner, Registry
from intent.envelopes import command_envelope
from intent.errors import InvalidCommand, NotFound, Rejected, Unavailable, error_of
from intent.identity import DevIdentityProvider
from intent.model import BoundContext, Page
from intent.origin import TraceContext
from intent.read_models.folding import Folder, RowId, StoredRow, Upsert
from intent.read_models.shape import TableShape
from intent.records import CommandKey
from intent.service import (
    ContextServer,
    Probe,
    ServiceParts,
    ServiceSettings,
)
from intent.store.event_store import EventStore
from intent.store.memory import MemoryEventStore
from intent.telemetry.spans import CallSpan, CallTracer, NoTracer
from intent_contracts.intent.v1 import (
    CancelSagaRequest,
    CommandOutcome,
    CommandResult,
    CommandStatus,
    GetSagaResponse,
    ListSagasRequest,
    ListSagasResponse,
    ProjectionStatus,
    RebuildProjectionResponse,
    RecordedEvent,
    ResumeSagaRequest,
    SagaStatus,
    TerminateSagaRequest,
)
from intent_contracts.orders.v1 import Money, OrderLine, PlaceOrder
from orders.context import context as orders

Row = TypeVar("Row", bound=Message)

REGISTRY = Registry.load()


def bound() -> BoundContext:
    return orders.bind(REGISTRY)


def place(order_id: str = "o-1", customer: str = "ann", quantity: int = 1) -> PlaceOrder:
    price = Money(minor_units=500, currency="EUR")
    line = OrderLine(line_id="1", sku="tea", quantity=quantity, unit_price=price)
    return PlaceOrder(order_id=order_id, customer_id=customer, lines=[line])


async def reached(store: EventStore, position: int) -> None:
    """Wait until the log is at a position."""
    while (known := await store.position()) < position:
        await store.wait_beyond(known, 10)


class MemoryReadModels:
    """The read models of a context, folded from the log when they are read.

    Attributes:
        held: The names of projections that do not advance.
    """

    def __init__(self, context: BoundContext, store: EventStore) -> None:
        self.held: set[str] = set()
        self._store = store
        self._folders = {
            p.name: Folder(
                p(),
                TableShape.of(context.registry.read_models[p.read_model.DESCRIPTOR.full_name]),
                context.upcasters.event,
            )
            for p in context.projections
        }
        self._rows: dict[str, dict[RowId, Upsert]] = {name: {} for name in self._folders}
        self._positions = dict.fromkeys(self._folders, 0)
        self._moved = asyncio.Condition()

    async def advance(self) -> None:
        for name, folder in self._folders.items():
            if name not in self.held:
                await self._fold(name, folder)

    async def release(self, name: str) -> None:
        self.held.discard(name)
        async with self._moved:
            self._moved.notify_all()

    def position_of(self, name: str) -> int:
        return self._positions[name]

    async def reach(
        self, position: int, timeout: float, names: Collection[str] | None = None
    ) -> Sequence[str]:
        wanted = set(self._folders) if names is None else set(names)

        async def behind() -> list[str]:
            await self.advance()
            return sorted(name for name in wanted if self._positions[name] < position)

        try:
            async with asyncio.timeout(timeout), self._moved:
                while await behind():
                    await self._moved.wait()
        except TimeoutError:
            pass
        return await behind()

    async def get(self, model: type[Row], tenant: str, *key: Any, owner: Owner | None = None) -> Row | None:
        await self.advance()
        row = self._rows[self._writer(model)].get(RowId(tenant, key))
        found = None if row is None else model.FromString(row.data)
        return None if found is None or (owner and not owner.owns(found)) else found

    async def list(
        self,
        model: type[Row],
        tenant: str,
        *,
        where: Mapping[str, Any] | None = None,
        page_size: int = 50,
        page_token: str = "",
        owner: Owner | None = None,
    ) -> Page[Row]:
        await self.advance()
        rows = [row for id_, row in self._rows[self._writer(model)].items() if id_.tenant == tenant]
        rows.sort(key=lambda row: -row.created_position)
        messages = [model.FromString(row.data) for row in rows]
        messages = [message for message in messages if owner is None or owner.owns(message)]
        wanted = [(name, value) for name, value in (where or {}).items() if value]
        return Page(
            [m for m in messages if all(getattr(m, f) == v for f, v in wanted)][: page_size or 50], ""
        )

    async def statuses(self) -> Sequence[ProjectionStatus]:
        return [ProjectionStatus(name=name, position=p) for name, p in self._positions.items()]

    async def rebuild(self, name: str) -> AsyncIterator[RebuildProjectionResponse]:
        if name not in self._folders:
            raise NotFound("PROJECTION_NOT_FOUND", f"there is no projection {name}")
        self._positions[name] = 0
        self._rows[name].clear()
        yield RebuildProjectionResponse(position=0, head=await self._store.position())
        await self.advance()
        head = await self._store.position()
        yield RebuildProjectionResponse(position=head, head=head, done=True)

    async def skip(
        self, name: str, position: int, reason: str, actor: str, *, force: bool = False
    ) -> ProjectionStatus:
        if not force:
            raise InvalidCommand("EVENT_NOT_FAILING", f"{name} does not fail now")
        status = ProjectionStatus(name=name, position=position)
        status.skipped.add(position=position, reason=reason, actor=actor)
        return status

    def _writer(self, model: type[Message]) -> str:
        return next(name for name, folder in self._folders.items() if folder.shape.model is model)

    async def _fold(self, name: str, folder: Folder) -> None:
        rows = self._rows[name]
        entries = await self._store.read_log(self._positions[name], 1000)
        plan = folder.plan(self._positions[name], entries)
        stored = {
            id_: StoredRow(rows[id_].data, rows[id_].created_position) for id_ in plan.rows if id_ in rows
        }
        folded = folder.fold(plan, stored)
        rows.update({row.id: row for row in folded.changes.upserts})
        self._positions[name] = folded.position


class MemoryRouter:
    """Handles each command at once, in this process."""

    def __init__(self, context: BoundContext, store: EventStore, read_models: MemoryReadModels) -> None:
        self._store = store
        self._read_models = read_models
        self._handling = CommandHandling(context, store, AggregateCache())
        self._tasks: set[asyncio.Task[CommandOutcome]] = set()
        self._one_at_a_time = asyncio.Lock()
        self.requests: list[CommandRequest] = []
        self.closed = False

    async def handle(self, request: CommandRequest) -> CommandResult:
        outcome = await asyncio.shield(self._begin(request))
        if outcome.HasField("failure"):
            raise error_of(outcome.failure)
        if not request.applied_only:
            outcome.result.projected = not await self._read_models.reach(outcome.result.position, 0)
        return outcome.result

    async def submit(self, request: CommandRequest) -> SubmittedCommand:
        self._begin(request)
        return SubmittedCommand(request.origin.command_id, "batch/orders/1")

    async def outcome(self, tenant: str, command_id: UUID, handle: str = "") -> CommandReport:
        stored = await self._store.command(CommandKey(tenant, command_id))
        if stored is None:
            raise NotFound("COMMAND_NOT_FOUND", f"command {command_id} is not known here")
        outcome = restored(stored, self._store.epochs.current)
        failed = outcome.HasField("failure")
        status = CommandStatus.COMMAND_STATUS_FAILED if failed else CommandStatus.COMMAND_STATUS_APPLIED
        return CommandReport(status, outcome)

    def close(self) -> None:
        self.closed = True

    async def drain(self, timeout: float) -> bool:
        _, left = await asyncio.wait(self._tasks, timeout=timeout) if self._tasks else (set(), set())
        return not left

    def _begin(self, request: CommandRequest) -> asyncio.Task[CommandOutcome]:
        self.requests.append(request)
        if self.closed:
            raise Unavailable("SHUTTING_DOWN", "this process is shutting down", retry_after_ms=10)
        task = asyncio.create_task(self._handle(request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _handle(self, request: CommandRequest) -> CommandOutcome:
        envelope = command_envelope(
            request.origin,
            request.contract.type,
            request.command.SerializeToString(deterministic=True),
            expected_version=request.expected_version,
            owner=request.owner,
        )
        envelope.received_at.GetCurrentTime()
        async with self._one_at_a_time:
            handled = await self._handling.handle([envelope])
        return handled.outcomes[0]


class MemorySagas:
    """Sagas of several tenants, which record what operators do.

    Attributes:
        sagas: The sagas, the newest first.
        actions: What operators did: the action, the saga, the actor and the reason.
    """

    def __init__(self, *sagas: GetSagaResponse) -> None:
        self.sagas = list(sagas)
        self.actions: list[tuple[str, str, str, str]] = []

    async def page(self, tenant: str, request: ListSagasRequest) -> ListSagasResponse:
        own = [saga.saga for saga in self.sagas if saga.saga.tenant_id == tenant]
        start = int(request.page_token or b"0")
        end = start + (request.page_size or 50)
        token = str(end).encode() if end < len(own) else b""
        return ListSagasResponse(sagas=own[start:end], next_page_token=token)

    async def get(self, tenant: str, id_: str) -> GetSagaResponse:
        for saga in self.sagas:
            if (saga.saga.tenant_id, saga.saga.id) == (tenant, id_):
                return saga
        raise NotFound("SAGA_NOT_FOUND", f"there is no saga {id_}")

    async def resume(self, tenant: str, request: ResumeSagaRequest, actor: str) -> None:
        response = await self.get(tenant, request.id)
        if response.saga.status != SagaStatus.SAGA_STATUS_STUCK:
            raise Rejected("SAGA_NOT_STUCK", "the saga is not stuck")
        self.actions.append(("skip" if request.skip else "resume", request.id, actor, request.reason))

    async def cancel(self, tenant: str, request: CancelSagaRequest, actor: str) -> None:
        await self.get(tenant, request.id)
        self.actions.append(("cancel", request.id, actor, request.reason))

    async def terminate(self, tenant: str, request: TerminateSagaRequest, actor: str) -> None:
        await self.get(tenant, request.id)
        self.actions.append(("terminate", request.id, actor, request.reason))


class Follower:
    """Follows a tenant's events and lets others wait for them."""

    def __init__(self) -> None:
        self.seen: list[RecordedEvent] = []
        self._more = asyncio.Condition()

    async def run(self, following: IntentClient, count: int) -> None:
        async with aclosing(following.events()) as events:  # type: ignore[type-var]
            async for event in events:
                async with self._more:
                    self.seen.append(event)
                    self._more.notify_all()
                if len(self.seen) == count:
                    return

    async def has(self, count: int) -> None:
        async with self._more:
            await self._more.wait_for(lambda: len(self.seen) >= count)


@dataclass
class Counting:
    """A tracer that counts the calls of each method."""

    calls: Counter[str] = field(default_factory=Counter)

    def start(self, method: str, trace: TraceContext) -> CallSpan:
        self.calls[method] += 1
        return NoTracer().start(method, trace)


@dataclass
class Served:
    """A context that is served from memory, and can be stopped and started again."""

    settings: ServiceSettings = field(default_factory=lambda: ServiceSettings(shutdown_grace=5.0))
    store: Any = field(default_factory=MemoryEventStore)
    context: BoundContext = field(default_factory=bound)
    probes: Sequence[Probe] = ()
    tracer: CallTracer = field(default_factory=NoTracer)
    identities: Any = field(
        default_factory=lambda: DevIdentityProvider(dev_mode=True, default_roles=frozenset({"*"}))
    )
    sagas: MemorySagas = field(default_factory=MemorySagas)
    consumers: ConsumerServing | None = None
    audit: AuditLog = field(default_factory=MemoryAudit)
    clock: Callable[[], float] = time.time
    clients: list[IntentClient] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.read_models = MemoryReadModels(self.context, self.store)
        self.router: Any = MemoryRouter(self.context, self.store, self.read_models)

    async def start(self) -> None:
        parts = ServiceParts(
            context=self.context,
            router=self.router,
            store=self.store,
            reader=self.read_models,
            read_side=self.read_models,
            operator=self.read_models,
            sagas=self.sagas,
            consumers=self.consumers,
            audit=Auditor(self.audit, Background()),
            identities=self.identities,
            tracer=self.tracer,
            probes=self.probes,
            clock=self.clock,
        )
        self.server = ContextServer(parts, self.settings)
        await self.server.start()

    async def restart(self, router: Any = None) -> None:
        """Stop, then start on the same port over the same store, as a new process would."""
        port = self.server.port
        await self.server.stop()
        self.settings = replace(self.settings, port=port)
        self.router = router or MemoryRouter(self.context, self.store, self.read_models)
        await self.start()

    def client(self, tenant: str = "acme", **options: Any) -> IntentClient:
        options.setdefault("policy", RetryPolicy(first=0.005, longest=0.05))
        client = IntentClient.connect(self.server.target, tenant=tenant, registry=REGISTRY, **options)
        self.clients.append(client)
        return client

    async def close(self) -> None:
        for client in self.clients:
            await client.close()
        await self.server.stop()


@asynccontextmanager
async def served(**options: Any) -> AsyncIterator[Served]:
    """Serve the orders context while the context manager is entered."""
    serving = Served(**options)
    await serving.start()
    try:
        yield serving
    finally:
        await serving.close()
