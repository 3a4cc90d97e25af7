"""The event store: its port, PostgreSQL and memory adapters, migrations and subscriptions."""

from intent.store.memory import MemoryEventStore as MemoryEventStore
from intent.store.port import Appended as Appended
from intent.store.port import AppendResult as AppendResult
from intent.store.port import CommandWrite as CommandWrite
from intent.store.port import Conflict as Conflict
from intent.store.port import EventStore as EventStore
from intent.store.port import EventWrite as EventWrite
from intent.store.port import Loaded as Loaded
from intent.store.port import LoadedStream as LoadedStream
from intent.store.port import LogFilter as LogFilter
from intent.store.port import StoredCommand as StoredCommand
from intent.store.port import StreamAppend as StreamAppend
from intent.store.port import StreamOutcome as StreamOutcome
from intent.store.roles import RoleNames as RoleNames
from intent.store.subscription import LogPage as LogPage
from intent.store.subscription import follow_log as follow_log

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
    "LogPage",
    "MemoryEventStore",
    "RoleNames",
    "StoredCommand",
    "StreamAppend",
    "StreamOutcome",
    "follow_log",
]
