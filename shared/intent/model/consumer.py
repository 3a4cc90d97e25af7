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

from intent.annotations import annotated_message, parameter_names

__all__ = ["Consumer", "ConsumerHandler", "consumes"]

HandlerT = TypeVar("HandlerT", bound=Callable[..., Any])

_NAME: Final = re.compile(r"[a-z][a-z0-9._-]{0,99}")
_MARK: Final = "__intent_consumes__"


def consumes(method: HandlerT) -> HandlerT:
    """Marks a method as the handler of the event that its parameter is annotated with.

    The method takes the event and, if it wants, the `EventMetadata`. It returns a command, several in
    order, or nothing; these are sent for it, each with an id that follows from the event, so that an
    event that comes again has one effect. It may be a coroutine and do input and output of its own,
    which it must then make safe to repeat itself. An exception makes the event come again later and,
    after the last attempt, parks its stream; but `Unavailable` and `Overloaded` mean that something is
    away, and are waited out.
    """
    setattr(method, _MARK, True)
    return method


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
    own; what must be remembered goes into commands, or to where its coroutines put it.

    Attributes:
        name: The consumer's name, under which its progress is kept; instances of the same name
            share the work. Begin it with the context that consumes, e.g. ``shipping.known-orders``.
        from_now: Where it begins when it is new: with the first event, or with new ones only.
        attempts: How often an event is tried before its stream is parked.
        concurrency: How many events are handled side by side.
        timeout: How many seconds a handler may take for one event.
        handlers: The handlers by the full name of their event.
    """

    name: ClassVar[str]
    from_now: ClassVar[bool] = False
    attempts: ClassVar[int] = 5
    concurrency: ClassVar[int] = 16
    timeout: ClassVar[float] = 60.0
    handlers: ClassVar[Mapping[str, ConsumerHandler]] = MappingProxyType({})

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Reads the handlers from the annotations.

        Raises:
            TypeError: The class has no name that can be one, or two methods take the same event.
        """
        super().__init_subclass__(**kwargs)
        if not _NAME.fullmatch(getattr(cls, "name", "")):
            raise TypeError(
                f"{cls.__name__}: give it a name of lower-case letters, digits and '._-', "
                'e.g. name = "shipping.known-orders"'
            )
        cls.handlers = MappingProxyType(dict(cls.handlers) | _handlers_of(cls))


def _handlers_of(cls: type) -> dict[str, ConsumerHandler]:
    handlers: dict[str, ConsumerHandler] = {}
    for member in cls.__dict__.values():
        if not getattr(member, _MARK, False):
            continue
        handler = _handler(member)
        type_ = handler.event.DESCRIPTOR.full_name
        if type_ in handlers:
            raise TypeError(f"{cls.__name__}: two methods take {type_}; leave one")
        handlers[type_] = handler
    return handlers


def _handler(method: Callable[..., Any]) -> ConsumerHandler:
    names = parameter_names(method)
    if len(names) not in (1, 2):
        raise TypeError(f"{method.__qualname__}: it takes the event and, if wanted, the metadata")
    return ConsumerHandler(annotated_message(method, names[0]), method, len(names) == 2)
