"""What the contracts say about each kind of message, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from google.protobuf.message import Message

from intent.contracts.ownership import Ownership
from intent.contracts.reasons import PLATFORM_REASONS

__all__ = [
    "AnyContract",
    "CommandContract",
    "EventContract",
    "MessageClass",
    "QueryContract",
    "ReadModelContract",
    "SagaContract",
    "StateContract",
    "saga_id",
]

MessageClass: TypeAlias = type[Message]
"""The generated class of a message."""


@dataclass(frozen=True, slots=True)
class CommandContract:
    """A command.

    Attributes:
        type: The full name of its message, e.g. ``orders.v1.PlaceOrder``.
        message: Its class.
        context: The context that handles it.
        aggregate: The short name of the aggregate that it addresses.
        roles: The roles of which a caller needs one; ``*`` among them: any authenticated caller.
        id_field: The field that holds the aggregate's id.
        method: The typed method, e.g. ``/orders.v1.Orders/PlaceOrder``, or empty.
        rejects: The reasons for which its handler may reject it.
        owned: The roles that may send it only for what is the caller's own.
    """

    type: str
    message: MessageClass
    context: str
    aggregate: str
    roles: frozenset[str]
    id_field: str
    method: str = ""
    rejects: tuple[str, ...] = ()
    owned: tuple[Ownership, ...] = ()

    def aggregate_id(self, command: Message) -> str:
        """Return the id of the aggregate that a command addresses; `validate` checks it."""
        value: str = getattr(command, self.id_field)
        return value

    def may_reject(self, reason: str) -> bool:
        """Return whether the command may be answered with a reason: one of its own, or the platform's."""
        return reason in self.rejects or reason in PLATFORM_REASONS


@dataclass(frozen=True, slots=True)
class EventContract:
    """An event.

    Attributes:
        type: The full name of its message.
        message: Its class.
        context: The context in whose log it is recorded.
        aggregate: The short name of the aggregate that records it.
        version: The schema version that new events are written with, from 1 up.
    """

    type: str
    message: MessageClass
    context: str
    aggregate: str
    version: int


@dataclass(frozen=True, slots=True)
class StateContract:
    """The state of an aggregate, as snapshots hold it.

    Attributes:
        type: The full name of its message.
        message: Its class.
        context: The aggregate's context.
        aggregate: The aggregate's short name.
        version: The state's schema version, from 1 up.
    """

    type: str
    message: MessageClass
    context: str
    aggregate: str
    version: int


@dataclass(frozen=True, slots=True)
class QueryContract:
    """A query.

    Attributes:
        type: The full name of its message.
        message: Its class.
        context: The context that answers it.
        roles: The roles of which a caller needs one; ``*`` among them: any authenticated caller.
        method: The typed method, e.g. ``/orders.v1.Orders/GetOrder``.
        response: The class of the answer.
        owned: The roles that may ask it only about what is the caller's own.
    """

    type: str
    message: MessageClass
    context: str
    roles: frozenset[str]
    method: str
    response: MessageClass
    owned: tuple[Ownership, ...] = ()


@dataclass(frozen=True, slots=True)
class ReadModelContract:
    """A row of a read model.

    Attributes:
        type: The full name of its message.
        message: Its class.
        context: The context whose read model it is.
        table: The table's name.
        key: The fields that make the row's key, besides the tenant, in the order of their numbers.
        indexed: The fields that have a column and an index of their own, to filter by.
    """

    type: str
    message: MessageClass
    context: str
    table: str
    key: tuple[str, ...]
    indexed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SagaContract:
    """The input of a saga.

    Attributes:
        type: The full name of its message.
        message: Its class.
        context: The context that runs it.
        starts_on: The full names of the events that start it.
        listens_to: The full names of the further events that it waits for.
        correlated_by: The field of each of these events by which an event finds its saga;
            empty, or on an event of its own context without the field: the id of the aggregate
            that recorded the event.
        sends: The full names of the commands that it sends.
        child: True when only other sagas run it.
    """

    type: str
    message: MessageClass
    context: str
    starts_on: tuple[str, ...]
    listens_to: tuple[str, ...]
    correlated_by: str
    sends: tuple[str, ...] = ()
    child: bool = False

    def correlation(self, event: Message, aggregate_id: str) -> str:
        """Return the correlation by which an event finds its saga; see `correlated_by`.

        Args:
            event: The event.
            aggregate_id: The id of the aggregate that recorded it.
        """
        if self.correlated_by not in event.DESCRIPTOR.fields_by_name:
            return aggregate_id
        value: str = getattr(event, self.correlated_by)
        return value


AnyContract: TypeAlias = (
    CommandContract | EventContract | StateContract | QueryContract | ReadModelContract | SagaContract
)


def saga_id(saga: str, tenant: str, correlation: str) -> str:
    """Return the id of the one saga of a type, by its full name, for a tenant and a correlation."""
    return f"{saga}/{tenant}/{correlation}"
