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
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from types import MappingProxyType
from typing import Any, ClassVar, Final, Generic, TypeVar, overload

from google.protobuf.message import Message

from intent.annotations import message_of, type_argument
from intent.contracts import Problems
from intent.model.following import Assignment, assignments
from intent.model.marks import Kind, MarkedMethod, by_message, mark, read_marks
from intent.model.metadata import EventMetadata, KeysOf

__all__ = ["DELETE", "Projection", "ProjectionHandler", "projects"]

Row = TypeVar("Row", bound=Message)
HandlerT = TypeVar("HandlerT", bound=Callable[..., Any])

_PROJECTS: Final = Kind("projects", takes=("row", "event"), metadata=EventMetadata)


class _Delete(Enum):
    """The one value that a handler returns to remove the row."""

    DELETE = "delete"


DELETE: Final = _Delete.DELETE
"""Returned by a handler to remove the row."""


@dataclass(frozen=True, slots=True)
class ProjectionHandler:
    """One handler of a projection.

    Attributes:
        event: The message class of the events that it takes.
        method: The method, not bound.
        takes_metadata: True when its last parameter is the metadata.
        keys: Returns the rows that an event concerns; None: the row of the aggregate's id.
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
    """Mark a method as the handler of the event that its second parameter is annotated with.

    The method takes the row, the event and, optionally, the `EventMetadata`; it changes the
    row in place. A row that does not exist yet is empty except for its key. The event must
    not be changed. Returning `DELETE` removes the row.

    Args:
        method: The method, when used without arguments.
        key: Returns the rows that the event concerns: one key (a string, or a tuple when the key
            has several fields) or a list of keys, for each of which the method is called. By
            default the row whose key is the id of the aggregate that recorded the event.
    """

    def marked(function: HandlerT) -> HandlerT:
        return mark(_PROJECTS, function, key)

    return marked(method) if method is not None else marked


class Projection(Generic[Row]):
    """Folds the events of a context into the rows of one read model.

    A subclass names its read model as the type argument. It holds no state of its own:
    what it knows is in the row. A method `after` is called after each handler.

    Attributes:
        name: The projection's name; by default the class's name.
        version: Raise it to rebuild the read model from the whole log.
        read_model: The message class of a row.
        handlers: The handlers by the full name of their event.
        declaration_problems: What is wrong with the declaration; binding the context reports it.
    """

    name: ClassVar[str] = ""
    version: ClassVar[int] = 1
    read_model: ClassVar[type[Message]] = Message
    handlers: ClassVar[Mapping[str, ProjectionHandler]] = MappingProxyType({})
    declaration_problems: ClassVar[Problems] = Problems()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Read the read model and the handlers from the annotations."""
        super().__init_subclass__(**kwargs)
        if "name" not in cls.__dict__:
            cls.name = cls.__name__
        cls.declaration_problems = problems = Problems()
        cls.read_model = type_argument(cls, Projection) or cls.read_model
        if cls.read_model is Message:
            fix = "name the message of a row, as in Projection[OrderView]"
            problems.add(cls.__module__, cls.__qualname__, "does not name its read model", fix)
        cls.handlers = MappingProxyType(_handlers_of(cls, problems))

    def after(self, row: Row, meta: EventMetadata) -> None:
        """Change a row after each event that changed it, e.g. to show when it last changed.

        A subclass may override it. It must depend on nothing but the row and the metadata.
        """


def _handlers_of(cls: type[Projection[Any]], problems: Problems) -> dict[str, ProjectionHandler]:
    marked = read_marks(cls, (_PROJECTS,), problems)
    for each in marked:
        _check_row(cls, each, problems)
    declared = [
        *((each.member, each.message, _handler(each)) for each in marked),
        *((each.member, each.event, _assigning(each)) for each in assignments(cls, cls.read_model, problems)),
    ]
    handlers = by_message(declared, problems)
    if cls.after is Projection.after:
        return handlers
    return {type_: _followed_by_after(handler) for type_, handler in handlers.items()}


def _handler(marked: MarkedMethod) -> ProjectionHandler:
    return ProjectionHandler(marked.message, marked.method, marked.takes_metadata, marked.options)


def _assigning(assignment: Assignment) -> ProjectionHandler:
    return ProjectionHandler(assignment.event, assignment.method, takes_metadata=False, keys=assignment.keys)


def _check_row(cls: type[Projection[Any]], marked: MarkedMethod, problems: Problems) -> None:
    row, model = message_of(marked.hints.get(marked.parameters[0])), message_of(cls.read_model)
    if row is not None and model is not None and row is not model:
        fault = f"takes a row of {row.DESCRIPTOR.full_name}"
        fix = f"annotate the row with {model.DESCRIPTOR.full_name}, the read model of its class"
        problems.add(marked.member.module, marked.member.subject, fault, fix)


def _followed_by_after(handler: ProjectionHandler) -> ProjectionHandler:
    """Return a handler that calls the projection's `after` when it leaves the row."""
    method, takes_metadata = handler.method, handler.takes_metadata

    @functools.wraps(method)
    def handle(projection: Projection[Any], row: Message, event: Message, meta: EventMetadata) -> Any:
        result = method(projection, row, event, meta) if takes_metadata else method(projection, row, event)
        if result is not DELETE:
            projection.after(row, meta)
        return result

    return replace(handler, method=handle, takes_metadata=True)
