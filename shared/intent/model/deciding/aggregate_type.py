"""Runs an aggregate class: restores and decides. This code runs for every command."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, Final, NamedTuple

from google.protobuf.message import Message

from intent.contracts import (
    COMMAND_EVENTS_LIMIT,
    MESSAGE_LIMIT,
    Registry,
    StateContract,
    require_recordable,
    require_saga_ids,
)
from intent.errors import CommandError, HandlerFailed, Rejected, SnapshotUnusable, StoreError
from intent.model.aggregate import Aggregate
from intent.model.deciding.state_watch import StateWatch
from intent.model.handlers import Method
from intent.model.metadata import CommandMetadata, DecidedEvent
from intent.model.upcasters import Upcasters
from intent.records import Snapshot, StoredEvent

__all__ = ["AggregateType"]

_STRICT: Final = StateWatch(strict=True)


class _EventType(NamedTuple):
    """What deciding needs of an event's contract.

    Attributes:
        type: The full name of its message.
        version: The schema version that new events are written with.
        apply: The applier.
    """

    type: str
    version: int
    apply: Method


class AggregateType:
    """An aggregate class with its contracts, ready to run. The context makes one per class.

    An aggregate on which `decide` raised is as it was before and can be used further, unless an
    applier raised: then it may be half-changed, with a version that has moved, and must be discarded.

    Args:
        cls: The aggregate class, whose methods fit the contracts.
        registry: The contracts.
        upcasters: Upcast older events and snapshots to their current schema versions.
        state_contract: The contract of the state.

    Attributes:
        name: The short name in the contracts.
        cls: The aggregate class.
        state_contract: The contract of the state.
        snapshot_every: A snapshot is taken whenever the version passes a multiple of this; 0: only after
            it was restored from more than 250 events.
    """

    def __init__(
        self,
        cls: type[Aggregate[Any]],
        registry: Registry,
        upcasters: Upcasters,
        state_contract: StateContract,
    ) -> None:
        self.name = cls.name
        self.cls = cls
        self.state_contract = state_contract
        self.snapshot_every = cls.snapshot_every
        self._upcasters = upcasters
        self._state: type[Message] = cls.state_type
        self._handlers = {
            registry.commands[type_].message: method for type_, method in cls.command_handlers.items()
        }
        self._events = {
            contract.message: _EventType(contract.type, contract.version, cls.event_appliers[contract.type])
            for contract in map(registry.event, cls.event_appliers)
        }

        self._listeners = {event: registry.listeners(event.DESCRIPTOR.full_name) for event in self._events}

    def __repr__(self) -> str:
        return f"AggregateType({self.state_contract.context}.{self.name})"

    def new(self, tenant: str, id: str) -> Aggregate[Any]:  # noqa: A002
        """Return an aggregate that does not exist yet: version 0, empty state."""
        return self.cls(tenant, id, self._state())

    def restore(
        self,
        tenant: str,
        id: str,  # noqa: A002
        *,
        snapshot: Snapshot | None,
        events: Iterable[StoredEvent],
    ) -> Aggregate[Any]:
        """Return an aggregate, restored from a snapshot and the events after it.

        Raises:
            SnapshotUnusable: The snapshot's state version is not known: see `usable`.
            NewerReleaseNeeded: An event's schema version is later than this release knows.
            StoreError: The events have a gap, or their bytes cannot be read.
        """
        aggregate = self.new(tenant, id)
        if snapshot is not None:
            aggregate.state = self._state_of(snapshot)
            aggregate.version = snapshot.version
        self.advance(aggregate, events)
        return aggregate

    def advance(self, aggregate: Aggregate[Any], events: Iterable[StoredEvent]) -> None:
        """Apply the next events of its stream to an aggregate; see `restore` for the errors."""
        for stored in events:
            if stored.version != aggregate.version + 1:
                where = f"{self.name} {aggregate.id}"
                raise StoreError(f"{where}: version {stored.version} follows version {aggregate.version}")
            _, event = self._upcasters.event(stored.type, stored.schema_version, stored.data)
            self._apply(aggregate, event)

    def event_class(self, type: str) -> type[Message]:  # noqa: A002
        """Return the class of an event of this aggregate, by its full name.

        Raises:
            KeyError: It is no event of this aggregate.
        """
        return next(cls for cls, event in self._events.items() if event.type == type)

    def decide(
        self,
        aggregate: Aggregate[Any],
        command: Message,
        metadata: CommandMetadata,
        watch: StateWatch = _STRICT,
    ) -> list[DecidedEvent]:
        """Run the command's handler, and apply its events to the aggregate.

        When the handler raises, nothing is applied.

        Args:
            aggregate: The aggregate.
            command: The command.
            metadata: Who sent it, when and why.
            watch: Looks whether the handler changes anything.

        Raises:
            Rejected: A business rule rejected the command, or it would record too much.
            AggregateNotFound: The command addresses an aggregate that does not exist.
            HandlerFailed: There is no handler, or it returned something other than events of the aggregate.
            StateChanged: It changed something, and the watch is strict.
        """
        handler = self._handlers.get(type(command))
        if handler is None:
            raise HandlerFailed(
                "NO_HANDLER", f"{self.name} has no handler for {command.DESCRIPTOR.full_name}"
            )
        look = watch.before(aggregate, command)
        aggregate._command = metadata
        try:
            events, decided = self._produced(handler(aggregate, command))
            for event in events:
                require_saga_ids(self._listeners[type(event)], event, aggregate.tenant, aggregate.id)
        except CommandError as refusal:
            aggregate._command = None
            watch.after(look, aggregate, command, refusal)
            raise
        finally:
            aggregate._command = None
        watch.after(look, aggregate, command)
        for event in events:
            self._apply(aggregate, event)
        if watch.strict:
            watch.applied(
                look, aggregate, self._replayed(look.version, look.state or b"", aggregate, decided)
            )
        return decided

    def _replayed(
        self, version: int, state: bytes, aggregate: Aggregate[Any], decided: Sequence[DecidedEvent]
    ) -> Message:
        """Return what events make of a state, as they are read from the log."""
        replayed = self.new(aggregate.tenant, aggregate.id)
        replayed.state, replayed.version = self._state.FromString(state), version
        for event in decided:
            self._apply(replayed, self.event_class(event.type).FromString(event.data))
        after: Message = replayed.state
        return after

    def _produced(self, produced: Any) -> tuple[Sequence[Message], list[DecidedEvent]]:
        """Return what a handler returned, to apply and as it is recorded."""
        if produced is None:
            return (), []
        if isinstance(produced, Message):
            events: list[Message] = [produced]
            decided = [self.encode(produced)]
        else:
            events, decided = [], []
            seen: set[int] = set()
            for event in islice(produced, COMMAND_EVENTS_LIMIT + 1):
                decided.append(self.encode(event))
                # The same message may come again, and with other contents.
                events.append(type(event).FromString(decided[-1].data) if id(event) in seen else event)
                seen.add(id(event))
        require_recordable(len(decided), sum(len(event.data) for event in decided))
        return events, decided

    def snapshot(self, aggregate: Aggregate[Any]) -> Snapshot:
        """Return a snapshot of the aggregate as it is now."""
        state: bytes = aggregate.state.SerializeToString()
        return Snapshot(aggregate.version, self.state_contract.version, state)

    def snapshot_due(self, before: int, after: int) -> bool:
        """Return whether a snapshot is due after a change from one version to another."""
        every = self.snapshot_every
        return every > 0 and before // every != after // every

    def usable(self, snapshot: Snapshot) -> bool:
        """Return whether `restore` can start from a snapshot, rather than from all events."""
        return self._upcasters.knows(self.state_contract.type, snapshot.state_version)

    def _state_of(self, snapshot: Snapshot) -> Message:
        state = self._upcasters.state(self.state_contract.type, snapshot.state_version, snapshot.state)
        if state is None:
            raise SnapshotUnusable(
                f"{self.name}: no upcaster leads from state version {snapshot.state_version} "
                f"to {self.state_contract.version}; rebuild from all events"
            )
        return state

    def _apply(self, aggregate: Aggregate[Any], event: Message) -> None:
        aggregate.version += 1
        self._events[type(event)].apply(aggregate, event)

    def encode(self, event: Message) -> DecidedEvent:
        """Return an event of this aggregate as it is recorded.

        Raises:
            Rejected: It is too large.
            HandlerFailed: It is no event of this aggregate.
        """
        known = self._events.get(type(event))
        if known is None:
            raise HandlerFailed(
                "NOT_AN_EVENT", f"a handler of {self.name} returned {event!r}, which is no event of it"
            )
        data = event.SerializeToString()
        if len(data) > MESSAGE_LIMIT:
            raise Rejected(
                "EVENT_TOO_LARGE",
                f"it would record a {known.type} of {len(data)} bytes, at most {MESSAGE_LIMIT} are allowed",
                metadata={"size": str(len(data)), "limit": str(MESSAGE_LIMIT)},
            )
        return DecidedEvent(known.type, known.version, data)
