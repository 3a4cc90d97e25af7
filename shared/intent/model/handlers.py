"""Finds command handlers and event appliers by the types in their annotations."""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias, TypeVar

from google.protobuf.message import Message

from intent.annotations import annotated_message, parameter_names
from intent.contracts import Problems

__all__ = ["Decision", "Method", "Methods", "applies", "declared_methods", "handles", "returned_messages"]

Decision: TypeAlias = Message | Sequence[Message] | None
"""What a command handler may return: an event, several in order, or nothing."""

Method: TypeAlias = Callable[[Any, Any], Any]
A = TypeVar("A")
C = TypeVar("C", bound=Message)
D = TypeVar("D", bound=Decision)

_HANDLES = "__intent_handles__"
_APPLIES = "__intent_applies__"


class Methods(NamedTuple):
    """The methods of an aggregate class.

    Attributes:
        handlers: The command handlers, by the full name of their command.
        appliers: The event appliers, by the full name of their event.
    """

    handlers: Mapping[str, Method]
    appliers: Mapping[str, Method]


def handles(method: Callable[[A, C], D]) -> Callable[[A, C], D]:
    """Marks a method as the handler of the command that its parameter is annotated with.

    It decides and changes nothing: it returns an event, a sequence of events or None, or
    it rejects.
    """
    setattr(method, _HANDLES, True)
    return method


def applies(method: Callable[[A, C], None]) -> Callable[[A, C], None]:
    """Marks a method as the applier of the event that its parameter is annotated with.

    It changes the state and decides nothing: what happened cannot be refused.
    """
    setattr(method, _APPLIES, True)
    return method


def declared_methods(cls: type, problems: Problems) -> Methods:
    """Returns the handlers and appliers of a class, those that it inherits too.

    Args:
        cls: The aggregate class.
        problems: Where to note methods that name no message, or the same one twice.
    """
    members = {name: member for base in reversed(cls.__mro__) for name, member in vars(base).items()}
    handlers = _by_message(cls, members.values(), _HANDLES, problems)
    appliers = _by_message(cls, members.values(), _APPLIES, problems)
    return Methods(MappingProxyType(handlers), MappingProxyType(appliers))


def returned_messages(method: Method) -> tuple[type[Message], ...]:
    """Returns the messages that a handler's return annotation names, as far as it names any."""
    return tuple(_messages_in(typing.get_type_hints(method).get("return")))


def _messages_in(hint: Any) -> Iterable[type[Message]]:
    if isinstance(hint, type) and issubclass(hint, Message):
        return [] if hint is Message else [hint]
    return [message for argument in typing.get_args(hint) for message in _messages_in(argument)]


def _by_message(cls: type, members: Iterable[Any], mark: str, problems: Problems) -> dict[str, Method]:
    found: dict[str, Method] = {}
    for method in members:
        if not getattr(method, mark, False):
            continue
        type_ = _message_of(cls, method, problems)
        first = found.setdefault(type_, method) if type_ else method
        if first is not method:
            fault = f"takes {type_}, which {first.__qualname__} takes already"
            problems.add(cls.__module__, method.__qualname__, fault, "leave one of the two methods")
    return found


def _message_of(cls: type, method: Any, problems: Problems) -> str:
    names = parameter_names(method)
    if len(names) != 1:
        fault = f"takes {len(names)} parameters besides self"
        problems.add(cls.__module__, method.__qualname__, fault, "let it take one message")
        return ""
    try:
        return annotated_message(method, names[0]).DESCRIPTOR.full_name
    except TypeError as error:
        mend = f"annotate the parameter {names[0]!r} with a message imported at the top of the module"
        problems.add(cls.__module__, method.__qualname__, f"does not tell what it takes ({error})", mend)
        return ""
