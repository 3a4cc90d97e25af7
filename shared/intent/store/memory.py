"""The event store in memory: the counterpart of the one on PostgreSQL, for tests and domain work."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from uuid import UUID, uuid4

from intent.records import CommandKey, LogEntry, Snapshot, StoredEvent, StreamKey
from intent.store.epochs import Epoch, LogEpochs
from intent.store.event_store import (
    STREAM_PAGE,
    Appended,
    AppendResult,
    CommandWrite,
    Conflict,
    EventWrite,
    Loaded,
    LoadedStream,
    LogFilter,
    StoredCommand,
    StreamAppend,
    StreamOutcome,
    page_bytes,
)
from intent.store.pages import first_bytes
from intent.store.storable import require_storable

__all__ = ["MemoryEventStore"]


class MemoryEventStore:
    """A log in memory; implements `intent.store.event_store.EventStore`."""

    def __init__(self) -> None:
        self.epochs = LogEpochs("memory", [Epoch(str(uuid4()))])
        self._log: list[LogEntry] = []
        self._streams: dict[StreamKey, list[LogEntry]] = {}
        self._commands: dict[CommandKey, StoredCommand] = {}
        self._snapshots: dict[StreamKey, Snapshot] = {}
        self._grown = asyncio.Condition()

    async def append(self, streams: Sequence[StreamAppend]) -> AppendResult:
        """See `EventStore.append`."""
        require_storable(text for stream in streams for text in _texts(stream))
        for stream in streams:
            self.epochs.check(stream.epoch)
        before = len(self._log)
        outcomes = [self._append(stream) for stream in streams]
        if len(self._log) > before:
            async with self._grown:
                self._grown.notify_all()
        return AppendResult(outcomes, len(self._log))

    async def load(self, streams: Sequence[StreamKey], commands: Sequence[CommandKey]) -> Loaded:
        """See `EventStore.load`."""
        require_storable(text for key in (*streams, *(c[:1] for c in commands)) for text in key)
        return Loaded(
            {key: self._loaded(key, page_bytes(len(streams))) for key in streams},
            {key: self._commands[key] for key in commands if key in self._commands},
        )

    async def keep_snapshot(self, key: StreamKey, snapshot: Snapshot, epoch: str = "") -> None:
        """See `EventStore.keep_snapshot`."""
        require_storable(key)
        self.epochs.check(epoch)
        kept = self._snapshots.get(key)
        if kept is None or (kept.state_version, kept.version) < (snapshot.state_version, snapshot.version):
            self._snapshots[key] = snapshot

    async def read_log(
        self,
        after: int,
        limit: int,
        where: LogFilter | None = None,
        *,
        most_bytes: int | None = None,
        last: int | None = None,
    ) -> Sequence[LogEntry]:
        """See `EventStore.read_log`."""
        only = where or LogFilter()
        named = (only.tenant, only.aggregate_type, only.aggregate_id, only.correlation_id)
        require_storable([*only.types, *(text for text in named if text is not None)])
        passing = (entry for entry in self._log[after:last] if only.passes(entry))
        return first_bytes(islice(passing, limit), most_bytes)

    async def read_positions(self, positions: Sequence[int]) -> Sequence[LogEntry]:
        """See `EventStore.read_positions`."""
        return [self._log[p - 1] for p in sorted(set(positions)) if 0 < p <= len(self._log)]

    async def read_stream(
        self,
        key: StreamKey,
        after_version: int = 0,
        limit: int = 1000,
        *,
        most_bytes: int | None = None,
    ) -> Sequence[LogEntry]:
        """See `EventStore.read_stream`."""
        require_storable(key)
        entries = self._streams.get(key, [])[after_version : after_version + limit]
        return first_bytes(entries, most_bytes)

    async def command(self, key: CommandKey) -> StoredCommand | None:
        """See `EventStore.command`."""
        return self._commands.get(key)

    async def position(self) -> int:
        """See `EventStore.position`."""
        return len(self._log)

    async def wait_beyond(self, position: int, timeout: float) -> int:
        """See `EventStore.wait_beyond`."""
        try:
            async with asyncio.timeout(timeout), self._grown:
                await self._grown.wait_for(lambda: len(self._log) > position)
        except TimeoutError:
            pass
        return len(self._log)

    def _append(self, stream: StreamAppend) -> StreamOutcome:
        version = len(self._streams.get(stream.key, ()))
        known = (CommandKey(stream.key.tenant, command.origin.command_id) for command in stream.commands)
        duplicates: dict[UUID, StoredCommand] = {
            key.command_id: self._commands[key] for key in known if key in self._commands
        }
        if duplicates or version != stream.expected_version:
            return Conflict(version, duplicates)
        if stream.snapshot is not None:
            self._snapshots[stream.key] = stream.snapshot
        return Appended([self._write(stream.key, command) for command in stream.commands])

    def _write(self, key: StreamKey, command: CommandWrite) -> int:
        for event in command.events:
            self._record(key, command, event)
        position = len(self._log)
        command_id = command.origin.command_id
        self._commands[CommandKey(key.tenant, command_id)] = StoredCommand(
            command_id, command.fingerprint, command.outcome, position, command.workflow_id
        )
        return position

    def _record(self, key: StreamKey, command: CommandWrite, event: EventWrite) -> None:
        entries = self._streams.setdefault(key, [])
        origin = command.origin
        entry = LogEntry(
            position=len(self._log) + 1,
            tenant=key.tenant,
            aggregate_type=key.aggregate_type,
            aggregate_id=key.aggregate_id,
            version=len(entries) + 1,
            event_id=event.event_id,
            type=event.type,
            schema_version=event.schema_version,
            data=event.data,
            command_id=origin.command_id,
            correlation_id=origin.correlation_id,
            causation_id=origin.causation_id,
            actor=origin.actor,
            traceparent=origin.trace.parent,
            recorded_at=datetime.now(UTC),
            tracestate=origin.trace.state,
        )
        entries.append(entry)
        self._log.append(entry)

    def _loaded(self, key: StreamKey, most_bytes: int) -> LoadedStream:
        entries = self._streams.get(key, [])
        snapshot = self._snapshots.get(key)
        after = snapshot.version if snapshot is not None else 0
        events: list[StoredEvent] = []
        size = 0
        for entry in entries[after : after + STREAM_PAGE]:
            if size >= most_bytes:
                break
            events.append(_stored(entry))
            size += len(entry.data)
        return LoadedStream(len(entries), snapshot, events)


def _texts(stream: StreamAppend) -> Iterator[str]:
    yield from stream.key
    for command in stream.commands:
        origin = command.origin
        yield from (origin.correlation_id, origin.causation_id, origin.actor)
        yield from (*origin.trace, command.workflow_id)
        yield from (event.type for event in command.events)


def _stored(entry: LogEntry) -> StoredEvent:
    return StoredEvent(entry.version, entry.type, entry.schema_version, entry.data)
