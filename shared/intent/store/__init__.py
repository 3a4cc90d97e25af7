"""The event store: its protocol, PostgreSQL and memory adapters, migrations and subscriptions."""

from intent.store.event_store import (
    Appended,
    AppendResult,
    CommandWrite,
    Conflict,
    EventStore,
    EventWrite,
    Loaded,
    LoadedStream,
    LogFilter,
    StoredCommand,
    StreamAppend,
    StreamOutcome,
)
from intent.store.log_tail import LogTail
from intent.store.memory import MemoryEventStore
from intent.store.roles import RoleNames
from intent.store.subscription import LogFollower, LogPage

__all__ = [
    "AppendResult",
    "Appended",
    "CommandWrite",
    "Conflict",
    "EventStore",
    "EventWrite",
    "Loaded",
    "LoadedStream",
    "LogFilter",
    "LogFollower",
    "LogPage",
    "LogTail",
    "MemoryEventStore",
    "RoleNames",
    "StoredCommand",
    "StreamAppend",
    "StreamOutcome",
]
