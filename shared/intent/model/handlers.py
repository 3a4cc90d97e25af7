"""The handlers of an aggregate: commands decided, events applied."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar, get_args

from google.protobuf.message import Message

from intent.annotations import message_of, type_hints
from intent.contracts import Problems
from intent.model.marks import Kind, by_message, mark, read_marks

__all__ = ["Decision", "Method", "Methods", "applies", "declared_methods", "handles", "returned_messages"]

Decision: TypeAlias = Message | Sequence[Message] | None
"""What a command handler may return: an event, several in order, or nothing."""

Method: TypeAlias = Callable[[Any, Any], Any]
A = TypeVar("A")
C = TypeVar("C", bound=Message)
D = TypeVar("D", bound=Decision)

_HANDLES: Final = Kind("handles", takes=("command",))
_APPLIES: Final = Kind("applies", takes=("event",))


class Methods(NamedTuple):
    """The methods of an aggregate class.

    Attributes:
        handlers: The command handlers, by the full name of their command.
        appliers: The event appliers, by the full name of their event.
    """

    handlers: Mapping[str, Method]
    appliers: Mapping[str, Method]


def handles(method: Callable[[A, C], D]) -> Callable[[A, C], D]:
    """Mark a method as the handler of the command that its parameter is annotated with.

    It decides and changes nothing: it returns an event, a sequence of events or None, or
    it rejects.
    """
    return mark(_HANDLES, method)


def applies(method: Callable[[A, C], None]) -> Callable[[A, C], None]:
    """Mark a method as the applier of the event that its parameter is annotated with.

    It changes the state and decides nothing: what happened cannot be refused.
    """
    return mark(_APPLIES, method)


def declared_methods(cls: type, problems: Problems) -> Methods:
    """Return the handlers and appliers of a class, inherited ones too.

    Args:
        cls: The aggregate class.
        problems: Where to note methods that cannot be handlers, and messages that are handled twice.
    """
    marked = read_marks(cls, (_HANDLES, _APPLIES), problems)

    def of(kind: Kind) -> Mapping[str, Method]:
        declared = ((each.member, each.message, each.method) for each in marked if each.kind is kind)
        return MappingProxyType(by_message(declared, problems))

    return Methods(of(_HANDLES), of(_APPLIES))


def returned_messages(method: Method) -> tuple[type[Message], ...]:
    """Return the messages that a handler's return annotation names."""
    return tuple(_messages_in(type_hints(method).get("return")))


def _messages_in(hint: Any) -> Iterable[type[Message]]:
    if message := message_of(hint):
        return [message]
    return [message for argument in get_args(hint) for message in _messages_in(argument)]
