"""The service intent.v1.Events: the events of the caller's tenant in the log."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Final

from google.protobuf.message import Message
from intent_contracts.intent.v1 import (
    EventFilter,
    ReadStreamRequest,
    ReadStreamResponse,
    SubscribeRequest,
    SubscribeResponse,
)

from intent.background import Background
from intent.envelopes import published_event
from intent.records import LogEntry, StreamKey
from intent.service.calls import Call, Method, StreamMethod, read
from intent.service.protocols import ServedContext
from intent.service.servicers.held_pages import HeldPages
from intent.service.servicers.pages import PAGE_BYTES, fitting
from intent.service.servicers.unknown_events import UnknownEvents
from intent.service.settings import ServiceSettings
from intent.store.event_store import EventStore, LogFilter
from intent.store.log_tail import LogTail
from intent.store.pages import is_full
from intent.store.subscription import LogFollower

__all__ = ["EVENTS", "EventsService", "log_filter"]

EVENTS: Final = "intent.v1.Events"
_PAGE: Final = 200
_MAX_LIMIT: Final = 1000
_HELD_BYTES: Final = 64 * 1024 * 1024
"""What all subscriptions together hold for readers that are slow."""


class EventsService:
    """Reads streams and follows the log, always for the caller's tenant only.

    Args:
        context: The context.
        store: Its event store.
        settings: Roles and intervals.
        background: Runs what all subscriptions share.
    """

    def __init__(
        self, context: ServedContext, store: EventStore, settings: ServiceSettings, background: Background
    ) -> None:
        self._context = context
        self._store = store
        self._settings = settings
        self._tail = LogTail(store, background)
        self._held = HeldPages(_HELD_BYTES)
        self._unknown = UnknownEvents(context.registry, context.name)

    def methods(self) -> Iterator[Method | StreamMethod]:
        """Yield the methods of the service."""
        roles = self._settings.event_roles
        yield StreamMethod(f"/{EVENTS}/Subscribe", self._subscribe, roles)
        yield Method(f"/{EVENTS}/ReadStream", self._read_stream, roles)

    async def stop(self) -> None:
        """Stop what all subscriptions share."""
        await self._tail.stop()

    async def _read_stream(self, data: bytes, call: Call) -> Message:
        request = read(ReadStreamRequest, data)
        key = StreamKey(call.identity.tenant, request.aggregate_type, request.aggregate_id)
        limit = request.limit or _MAX_LIMIT
        after = request.after_version
        entries = await self._store.read_stream(key, after, limit, most_bytes=PAGE_BYTES)
        if entries and not is_full(entries, limit, PAGE_BYTES):
            version = entries[-1].version
        else:
            version = (await self._store.load([key], [])).streams[key].version
        events = fitting(published_event(self._context, entry) for entry in entries)
        last = events[-1].version if events else after
        return ReadStreamResponse(events=events, version=version, more=last < version)

    async def _subscribe(self, data: bytes, call: Call) -> None:
        request = read(SubscribeRequest, data)
        self._unknown.note(request.filter.types, f"a subscription of {call.identity.actor}")
        after, epochs = request.after_position, self._store.epochs
        await epochs.require(after, request.after_epoch)
        epoch = epochs.current
        if request.from_now:
            after = await self._store.position()
            await call.write(SubscribeResponse(position=after, epoch=epoch).SerializeToString())
        where = log_filter(call.identity.tenant, request.filter)
        follower = LogFollower(
            self._store,
            self._tail,
            after,
            where,
            follow=request.follow,
            page_size=_PAGE,
            pause=self._settings.progress_every,
            epoch=epoch,
        )
        if request.follow:
            async with self._tail.followed():
                await self._send(call, follower, after, epoch)
        else:
            await self._send(call, follower, after, epoch)

    async def _send(self, call: Call, follower: LogFollower, after: int, epoch: str) -> None:
        """Send page by page; `write` waits for a slow reader, so at most one page is in memory."""
        clock = asyncio.get_running_loop().time
        reached = sent = after
        reported_at = clock()
        while (page := await follower.next()) is not None:
            held, reached = self._held.hold(page.entries), page.position
            del page
            try:
                while (entry := held.take()) is not None:
                    await self._send_event(call, entry, epoch)
                    sent = entry.position
            finally:
                held.release()
            if held.lost:
                reached = sent
                follower.rewind(sent)
            if reached > sent and clock() - reported_at >= self._settings.progress_every:
                await call.write(SubscribeResponse(position=reached, epoch=epoch).SerializeToString())
                sent, reported_at = reached, clock()
        if reached > sent:
            await call.write(SubscribeResponse(position=reached, epoch=epoch).SerializeToString())

    async def _send_event(self, call: Call, entry: LogEntry, epoch: str) -> None:
        event = published_event(self._context, entry)
        event.epoch = epoch
        await call.write(SubscribeResponse(event=event, position=entry.position).SerializeToString())


def log_filter(tenant: str, requested: EventFilter) -> LogFilter:
    """Return the filter of a subscription: the requested one, limited to its tenant's events."""
    return LogFilter(
        tenant=tenant,
        types=tuple(requested.types),
        aggregate_type=requested.aggregate_type or None,
        aggregate_id=requested.aggregate_id or None,
        correlation_id=requested.correlation_id or None,
    )
