"""The service intent.v1.Consumers: durable consumers of the context's events."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import Final

from google.protobuf.message import Message
from intent_contracts.intent.v1 import (
    Assignment,
    ConsumeRequest,
    ConsumeResponse,
    ConsumerInfo,
    Delivery,
    DropParkedRequest,
    DropParkedResponse,
    Join,
    ListConsumersRequest,
    ListConsumersResponse,
    ListParkedRequest,
    ListParkedResponse,
    ParkedEvent,
    RemoveConsumerRequest,
    RemoveConsumerResponse,
    ReplayParkedRequest,
    ReplayParkedResponse,
)

from intent.auditing import Auditor
from intent.consumers import (
    EVERY_TENANT,
    Answer,
    ConsumerKey,
    ConsumerOperator,
    ConsumerRow,
    ConsumerServing,
    Delivered,
    ParkedKey,
    ParkedRow,
    Terms,
)
from intent.envelopes import published_event
from intent.errors import InvalidCommand, Violation
from intent.records import StreamKey
from intent.service.calls import AnyMethod, BidiMethod, Call, Method, read
from intent.service.protocols import ServedContext
from intent.service.requests import action_entry
from intent.service.servicers.consumer_rights import (
    CONSUME_ROLES,
    OPERATE_ROLES,
    key_to_join,
    key_to_operate,
    require_listable,
    shown_prefix,
    visible_tenant,
)
from intent.service.servicers.pages import PAGE_BYTES, fitting, page_token, parse_page_token
from intent.service.servicers.unknown_events import UnknownEvents
from intent.store.pages import is_full

__all__ = ["CONSUMERS", "ConsumersService"]

CONSUMERS: Final = "intent.v1.Consumers"
_MAX_LIMIT: Final = 1000
_MAX_CONSUMERS: Final = 10_000


class ConsumersService:
    """Lets other services consume the log, and operators replay and drop what is parked.

    Args:
        context: The context.
        serving: Serves the consumers.
        audit: Records what callers do with consumers.
        tenant_at: Returns the tenant of the event at a position, or `EVERY_TENANT`.
    """

    def __init__(
        self,
        context: ServedContext,
        serving: ConsumerServing,
        audit: Auditor,
        tenant_at: Callable[[int], Awaitable[str]],
    ) -> None:
        self._audit = audit
        self._tenant_at = tenant_at
        self._context = context
        self._serving = serving
        self._unknown = UnknownEvents(context.registry, context.name)
        self._operator = ConsumerOperator(serving.database, serving.changed)

    def methods(self) -> Iterator[AnyMethod]:
        """Yield the methods of the service."""
        # The role "consumer-all" needs no tenant, so each method checks the tenant itself.
        yield BidiMethod(f"/{CONSUMERS}/Consume", self._consume, CONSUME_ROLES, needs_tenant=False)
        for name, answer in (
            ("ListConsumers", self._list),
            ("RemoveConsumer", self._remove),
            ("ListParked", self._parked),
            ("ReplayParked", self._replay),
            ("DropParked", self._drop),
        ):
            yield Method(f"/{CONSUMERS}/{name}", answer, OPERATE_ROLES, needs_tenant=False)

    async def _consume(self, requests: AsyncIterator[bytes], call: Call) -> None:
        join = await _join(requests)
        key = key_to_join(join.consumer, join.all_tenants, call)
        self._unknown.note(join.types, f"consumer {join.consumer} of {call.identity.actor}")
        settings = self._serving.settings
        terms = Terms(
            types=tuple(join.types),
            from_now=join.from_now,
            in_flight=join.in_flight or settings.in_flight,
            attempts=join.attempts or settings.attempts,
            partitions=join.partitions or settings.partitions,
            actor=call.identity.actor,
        )
        await self._serving.consume(key, terms, _RemoteInstance(requests, call, self._context))

    async def _list(self, data: bytes, call: Call) -> Message:
        request = read(ListConsumersRequest, data)
        after = parse_page_token(request.page_token, (str, str))
        start = None if after is None else ConsumerKey(*after)
        tenant, prefix = visible_tenant(call.identity), shown_prefix(call.identity)
        found = await self._serving.database.list(tenant, start, _MAX_CONSUMERS + 1)
        rows = [row for row in found[:_MAX_CONSUMERS] if row.name.startswith(prefix)]
        page = fitting(map(self._info, rows))
        cut = rows[len(page) - 1] if len(page) < len(rows) else None
        last = cut or (found[_MAX_CONSUMERS - 1] if len(found) > _MAX_CONSUMERS else None)
        token = b"" if last is None else page_token((last.tenant, last.name))
        return ListConsumersResponse(consumers=page, next_page_token=token)

    async def _remove(self, data: bytes, call: Call) -> Message:
        request = read(RemoveConsumerRequest, data)
        key = key_to_operate(request.consumer, request.all_tenants, call)
        await self._audit.acted(action_entry(call, request, key.tenant))
        await self._operator.remove(key)
        return RemoveConsumerResponse()

    async def _parked(self, data: bytes, call: Call) -> Message:
        request = read(ListParkedRequest, data)
        require_listable(request.consumer, call)
        limit = request.limit or _MAX_LIMIT
        after = parse_page_token(request.page_token, (*(str,) * 5, int))
        rows = await self._serving.database.parked(
            visible_tenant(call.identity),
            limit + 1,
            consumer=request.consumer,
            aggregate_type=request.aggregate_type,
            aggregate_id=request.aggregate_id,
            position=request.position,
            most_bytes=PAGE_BYTES,
            after=None if after is None else ParkedKey(*after),
        )
        page = fitting(map(self._parked_event, rows[:limit]))
        entries = [row.entry for row in rows]
        more = len(page) < len(rows) or is_full(entries, limit + 1, PAGE_BYTES)
        token = page_token(rows[len(page) - 1].key) if more else b""
        return ListParkedResponse(parked=page, more=more, next_page_token=token)

    async def _replay(self, data: bytes, call: Call) -> Message:
        request = read(ReplayParkedRequest, data)
        key = key_to_operate(request.consumer, request.all_tenants, call)
        tenant = request.tenant_id if request.all_tenants else key.tenant
        stream = StreamKey(tenant or call.identity.tenant, request.aggregate_type, request.aggregate_id)
        await self._audit.acted(action_entry(call, request, stream.tenant))
        return ReplayParkedResponse(events=await self._operator.replay(key, stream))

    async def _drop(self, data: bytes, call: Call) -> Message:
        request = read(DropParkedRequest, data)
        key = key_to_operate(request.consumer, request.all_tenants, call)
        tenant = key.tenant if key.tenant != EVERY_TENANT else await self._tenant_at(request.position)
        await self._audit.acted(action_entry(call, request, tenant))
        await self._operator.drop(key, request.position, request.reason, call.identity.actor)
        return DropParkedResponse()

    def _info(self, row: ConsumerRow) -> ConsumerInfo:
        return ConsumerInfo(
            consumer=row.name,
            position=row.position,
            lag=max(0, row.head - row.position),
            instances=row.instances,
            parked_streams=row.parked,
            tenant_id="" if row.tenant == EVERY_TENANT else row.tenant,
            unknown_types=self._unknown.among(row.types),
            joined_by=row.joined_by,
        )

    def _parked_event(self, row: ParkedRow) -> ParkedEvent:
        parked = ParkedEvent(
            consumer=row.consumer.name,
            event=published_event(self._context, row.entry),
            attempts=row.attempts,
            error=row.error,
            all_tenants=row.consumer.tenant == EVERY_TENANT,
        )
        parked.parked_at.FromDatetime(row.parked_at)
        return parked


class _RemoteInstance:
    """The caller of Consume as the instance of a session."""

    def __init__(self, requests: AsyncIterator[bytes], call: Call, context: ServedContext) -> None:
        self._requests = requests
        self._call = call
        self._context = context

    async def deliver(self, delivered: Delivered) -> None:
        delivery = Delivery(
            event=published_event(self._context, delivered.entry),
            attempt=delivered.attempt,
            replays=delivered.replays,
        )
        await self._call.write(ConsumeResponse(delivery=delivery).SerializeToString())

    async def assign(self, partitions: Sequence[int], total: int) -> None:
        assignment = Assignment(partitions=partitions, total=total)
        await self._call.write(ConsumeResponse(assignment=assignment).SerializeToString())

    async def answers(self) -> AsyncIterator[Answer]:
        async for data in self._requests:
            request = read(ConsumeRequest, data)
            if request.HasField("acknowledge"):
                yield Answer(request.acknowledge.position)
            elif request.HasField("fail"):
                fail = request.fail
                yield Answer(fail.position, fail.error or "no reason given", fail.final)
            else:
                raise _out_of_turn("only the first message may be join")


async def _join(requests: AsyncIterator[bytes]) -> Join:
    async for data in requests:
        request = read(ConsumeRequest, data)
        if request.HasField("join"):
            join: Join = request.join
            return join
        break
    raise _out_of_turn("the first message must be join")


def _out_of_turn(rule: str) -> InvalidCommand:
    return InvalidCommand("OUT_OF_TURN", rule, violations=[Violation("told", rule)])
