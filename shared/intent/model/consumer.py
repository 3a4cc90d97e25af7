"""Declares a consumer: handlers by the events that they take.

Example::

    class KnownOrders(Consumer):
        name = "shipping.known-orders"

        @consumes
        def placed(self, event: OrderPlaced, meta: EventMetadata) -> NoteOrder:
            return NoteOrder(order_id=meta.aggregate_id, customer_id=event.customer_id)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Final, TypeVar

from google.protobuf.message import Message

from intent.contracts import Problems
from intent.model.marks import Kind, MarkedMethod, by_message, mark, read_marks
from intent.model.metadata import EventMetadata

__all__ = ["Consumer", "ConsumerHandler", "consumes"]

HandlerT = TypeVar("HandlerT", bound=Callable[..., Any])

_NAME: Final = re.compile(r"[a-z][a-z0-9._-]{0,99}")
_CONSUMES: Final = Kind("consumes", takes=("event",), metadata=EventMetadata, coroutine=None)


def consumes(method: HandlerT) -> HandlerT:
    """Mark a method as the handler of the event that its parameter is annotated with.

    The method takes the event and, optionally, the `EventMetadata`. It returns a command, several in
    order, or nothing. The commands are sent for it, each with an id that is derived from the event, so
    that an event that is delivered again has one effect. The method may be a coroutine that does I/O of
    its own, which must be safe to repeat. After an exception the event is delivered again later and,
    after the last attempt, its stream is parked; but `Unavailable` and `Overloaded` mean that something
    is unavailable, and are waited out.
    """
    return mark(_CONSUMES, method)


@dataclass(frozen=True, slots=True)
class ConsumerHandler:
    """One method of a consumer.

    Attributes:
        event: The message class of the events that it takes.
        method: The method, not bound.
        takes_metadata: True when its last parameter is the metadata.
    """

    event: type[Message]
    method: Callable[..., Any]
    takes_metadata: bool


class Consumer:
    """Takes events of another context: each at least once, those of one aggregate in order.

    The events of different aggregates are handled side by side. A subclass holds no state of its
    own; what must be remembered goes into commands, or wherever its coroutines store it.

    Attributes:
        name: The consumer's name, under which its progress is kept; instances of the same name
            share the work. It begins with the name of the service that consumes, as in
            ``shipping.known-orders``: nobody else may join under it.
        from_now: Where a new consumer starts: False: with the first event; True: with new events only.
        attempts: How often an event is tried before its stream is parked.
        concurrency: How many events are handled side by side.
        timeout: How many seconds a handler may take for one event.
        handlers: The handlers by the full name of their event.
        declaration_problems: What is wrong with the declaration; binding the context reports it, and so
            does running the consumer outside a context.
    """

    name: ClassVar[str] = ""
    from_now: ClassVar[bool] = False
    attempts: ClassVar[int] = 5
    concurrency: ClassVar[int] = 16
    timeout: ClassVar[float] = 60.0
    handlers: ClassVar[Mapping[str, ConsumerHandler]] = MappingProxyType({})
    declaration_problems: ClassVar[Problems] = Problems()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Read the handlers from the annotations."""
        super().__init_subclass__(**kwargs)
        cls.declaration_problems = Problems()
        _check_name(cls, cls.declaration_problems)
        cls.handlers = MappingProxyType(_handlers_of(cls, cls.declaration_problems))


def _check_name(cls: type[Consumer], problems: Problems) -> None:
    if not isinstance(cls.name, str) or not _NAME.fullmatch(cls.name):
        fault = f"has the name {cls.name!r}" if cls.name else "has no name"
        fix = (
            "give it a name of lower-case letters, digits and '._-', "
            'beginning with a letter, e.g. name = "shipping.known-orders"'
        )
        problems.add(cls.__module__, cls.__qualname__, fault, fix)


def _handlers_of(cls: type, problems: Problems) -> dict[str, ConsumerHandler]:
    marked = read_marks(cls, (_CONSUMES,), problems)
    return by_message(((each.member, each.message, _handler(each)) for each in marked), problems)


def _handler(marked: MarkedMethod) -> ConsumerHandler:
    return ConsumerHandler(marked.message, marked.method, marked.takes_metadata)
