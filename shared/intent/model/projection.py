"""How a context author declares a projection: pure, no I/O.

Example::

    class OrderViews(Projection[OrderView]):
        version = 1

        @projects
        def placed(self, view: OrderView, event: OrderPlaced, meta: EventMetadata) -> None:
            view.customer_id = event.customer_id
            meta.stamp(view.placed_at)
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from types import MappingProxyType
from typing import (
    Any,
    ClassVar,
    Final,
    Generic,
    NamedTuple,
    TypeAlias,
    TypeVar,
    get_args,
    get_origin,
    overload,
)
from uuid import UUID

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from intent.annotations import annotated_message, parameter_names

__all__ = [
    "DELETE",
    "EventMetadata",
    "KeysOf",
    "Projection",
    "ProjectionHandler",
    "ProjectsMark",
    "RowKey",
    "projects",
]

Row = TypeVar("Row", bound=Message)
HandlerT = TypeVar("HandlerT", bound=Callable[..., Any])

RowKey: TypeAlias = tuple[Any, ...]
"""The values of a row's key fields, without the tenant."""

KeysOf: TypeAlias = Callable[[Any, "EventMetadata"], "str | RowKey | Iterable[str | RowKey]"]
"""Tells from an event which rows it concerns."""


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class _Delete(Enum):
    """The one value that a handler returns to remove the row."""

    DELETE = "delete"


DELETE: Final = _Delete.DELETE
"""Returned by a handler: the row is removed."""


class EventMetadata(NamedTuple):
    """What a projection may know of an event besides its message.

    Attributes:
        position: Position in the context's log, from 1 up.
        tenant: The tenant's id.
        aggregate_type: The aggregate's short name.
        aggregate_id: The aggregate's id.
        version: The aggregate's version after the event, from 1 up.
        event_id: The event's id.
        type: The full name of the event's message, after upcasting.
        recorded_at: When it was recorded, with time zone.
        correlation_id: The id that everything which follows from one request shares.
        causation_id: The command or event that caused the command, or empty.
        command_id: The command that recorded it.
        actor: Who asked.
    """

    position: int
    tenant: str
    aggregate_type: str
    aggregate_id: str
    version: int
    event_id: UUID
    type: str
    recorded_at: datetime
    correlation_id: str
    causation_id: str
    command_id: UUID
    actor: str

    def stamp(self, field: Timestamp) -> None:
        """Sets a timestamp field to the time at which the event was recorded."""
        since = self.recorded_at - _EPOCH
        field.seconds = since.days * 86_400 + since.seconds
        field.nanos = since.microseconds * 1_000


@dataclass(frozen=True, slots=True)
class ProjectionHandler:
    """One method of a projection, as the registry of the class keeps it.

    Attributes:
        event: The message class of the events that it takes.
        method: The method, not bound.
        takes_metadata: True when its last parameter is the metadata.
        keys: Tells which rows an event concerns; None: the row of the aggregate's id.
    """

    event: type[Message]
    method: Callable[..., Any]
    takes_metadata: bool
    keys: KeysOf | None = None


@overload
def projects(method: HandlerT, /) -> HandlerT: ...


@overload
def projects(*, key: KeysOf) -> Callable[[HandlerT], HandlerT]: ...


def projects(
    method: HandlerT | None = None, /, *, key: KeysOf | None = None
) -> HandlerT | Callable[[HandlerT], HandlerT]:
    """Marks a method as the handler of the event that its second parameter is annotated with.

    The method takes the row, the event and, if it wants, the `EventMetadata`; it changes the
    row in place. A row that does not exist yet comes empty but for its key. The event must
    not be changed. Returning `DELETE` removes the row.

    Args:
        method: The method, when used without arguments.
        key: Tells which rows the event concerns: one key (a string, or a tuple when the key has
            several fields) or a list of keys, for each of which the method is called. Without
            it, the row whose key is the id of the aggregate that recorded the event.
    """

    def mark(function: HandlerT) -> HandlerT:
        function.__intent_projects__ = ProjectsMark(key)  # type: ignore[attr-defined]
        return function

    return mark(method) if method is not None else mark


@dataclass(frozen=True, slots=True)
class ProjectsMark:
    """Left on a method by `projects`."""

    key: KeysOf | None


class Projection(Generic[Row]):
    """Folds the events of a context into the rows of one read model.

    A subclass names its read model as the type argument. It holds no state of its own:
    whatever it knows is in the row. A method `after` is called after each handler.

    Attributes:
        name: The projection's name; by default the class's name.
        version: Raise it to have the model rebuilt from the whole log.
        read_model: The message class of a row.
        handlers: The handlers by the full name of their event.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    read_model: ClassVar[type[Message]]
    handlers: ClassVar[Mapping[str, ProjectionHandler]] = MappingProxyType({})

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Reads the read model and the handlers from the annotations.

        Raises:
            TypeError: The class names no read model, or two methods take the same event.
        """
        super().__init_subclass__(**kwargs)
        if "name" not in cls.__dict__:
            cls.name = cls.__name__
        model = _read_model_of(cls)
        if model is not None:
            cls.read_model = model
        elif not hasattr(cls, "read_model"):
            raise TypeError(f"{cls.__name__}: name the read model, as in Projection[OrderView]")
        cls.handlers = MappingProxyType(dict(cls.handlers) | _handlers_of(cls))

    def after(self, row: Row, meta: EventMetadata) -> None:
        """Changes a row after each event that changed it, e.g. to tell when it last changed.

        A subclass may have one; it must depend on nothing but the row and the metadata.
        """


def _read_model_of(cls: type) -> type[Message] | None:
    for base in cls.__dict__.get("__orig_bases__", ()):
        origin = get_origin(base)
        if isinstance(origin, type) and issubclass(origin, Projection):
            (model,) = get_args(base)
            if isinstance(model, type) and issubclass(model, Message):
                return model
    return None


def _handlers_of(cls: type) -> dict[str, ProjectionHandler]:
    handlers: dict[str, ProjectionHandler] = {}
    for member in cls.__dict__.values():
        mark = getattr(member, "__intent_projects__", None)
        if mark is None:
            continue
        handler = _handler(cls, member, mark)
        event_type = handler.event.DESCRIPTOR.full_name
        if event_type in handlers:
            raise TypeError(f"{cls.__name__}: two methods take {event_type}; leave one")
        handlers[event_type] = handler
    return handlers


def _handler(cls: type, method: Callable[..., Any], mark: ProjectsMark) -> ProjectionHandler:
    names = parameter_names(method)
    if len(names) not in (2, 3):
        raise TypeError(f"{method.__qualname__}: it takes the row, the event and, if wanted, the metadata")
    takes_metadata, followed = len(names) == 3, getattr(cls, "after", None) is not Projection.after
    return ProjectionHandler(
        event=annotated_message(method, names[1]),
        method=_followed(method, takes_metadata) if followed else method,
        takes_metadata=takes_metadata or followed,
        keys=mark.key,
    )


def _followed(method: Callable[..., Any], takes_metadata: bool) -> Callable[..., Any]:
    """Returns a handler that calls the projection's `after` when it leaves the row."""

    @functools.wraps(method)
    def handle(projection: Projection[Any], row: Message, event: Message, meta: EventMetadata) -> Any:
        left = method(projection, row, event, meta) if takes_metadata else method(projection, row, event)
        if left is not DELETE:
            projection.after(row, meta)
        return left

    return handle
