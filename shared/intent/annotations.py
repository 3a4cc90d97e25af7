"""Reads the message types that an author declares in annotations and type arguments."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any

from google.protobuf.message import Message

__all__ = [
    "annotated_message",
    "message_of",
    "parameter_names",
    "returned_message",
    "type_argument",
    "type_hints",
]


def annotated_message(function: Callable[..., Any], parameter: str) -> type[Message]:
    """Return the message type that a parameter is annotated with.

    Raises:
        TypeError: The annotation is missing, or is no message.
    """
    return _message(function, parameter, f"annotate {parameter!r} with the message that it takes")


def returned_message(function: Callable[..., Any]) -> type[Message]:
    """Return the message type that a function is annotated to return.

    Raises:
        TypeError: The annotation is missing, or is no message.
    """
    return _message(function, "return", "annotate it with the message that it returns")


def message_of(hint: object) -> type[Message] | None:
    """Return an annotation as the message type that it names, or None when it names none."""
    if isinstance(hint, type) and issubclass(hint, Message) and hint is not Message:
        return hint
    return None


def parameter_names(function: Callable[..., Any]) -> tuple[str, ...]:
    """Return the names of a method's parameters after ``self``.

    Raises:
        TypeError: It is no function.
    """
    return tuple(inspect.signature(function).parameters)[1:]


def type_hints(function: Callable[..., Any]) -> Mapping[str, Any]:
    """Return the annotations of a function by parameter name, strings among them evaluated.

    Raises:
        TypeError: An annotation cannot be evaluated.
    """
    try:
        return typing.get_type_hints(function)
    except NameError as error:
        raise TypeError(f"{error}; import it at the top of its module") from error
    except Exception as error:  # whatever evaluating an author's annotation raises
        raise TypeError(f"an annotation cannot be evaluated: {error}") from error


def type_argument(cls: type, generic: type) -> type[Message] | None:
    """Return the message that a class names as the type argument of its generic base.

    Args:
        cls: The class, e.g. ``class Order(Aggregate[OrderState])``.
        generic: The generic class that it derives from, e.g. ``Aggregate``.

    Returns:
        The message, e.g. ``OrderState``; None when the class itself names none.
    """
    for base in vars(cls).get("__orig_bases__", ()):
        origin = typing.get_origin(base)
        if isinstance(origin, type) and issubclass(origin, generic):
            named = [message for argument in typing.get_args(base) if (message := message_of(argument))]
            if named:
                return named[0]
    return None


def _message(function: Callable[..., Any], name: str, fix: str) -> type[Message]:
    try:
        message = message_of(type_hints(function).get(name))
    except TypeError as error:
        raise TypeError(f"{function.__qualname__}: {error}") from error
    if message is None:
        raise TypeError(f"{function.__qualname__}: {fix}")
    return message
