"""Reads the message types that a handler declares in its annotations."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable
from typing import Any

from google.protobuf.message import Message

__all__ = ["annotated_message", "parameter_names", "returned_message"]


def annotated_message(function: Callable[..., Any], parameter: str) -> type[Message]:
    """Returns the message type that a parameter is annotated with.

    Raises:
        TypeError: It is annotated with nothing, or with something that is no message.
    """
    return _message(function, parameter, f"annotate {parameter!r} with the message that it takes")


def returned_message(function: Callable[..., Any]) -> type[Message]:
    """Returns the message type that a function is annotated to return.

    Raises:
        TypeError: It is annotated with nothing, or with something that is no message.
    """
    return _message(function, "return", "annotate it with the message that it returns")


def parameter_names(function: Callable[..., Any]) -> tuple[str, ...]:
    """Returns the names of a method's positional parameters after ``self``."""
    return tuple(inspect.signature(function).parameters)[1:]


def _message(function: Callable[..., Any], name: str, mend: str) -> type[Message]:
    try:
        hints = typing.get_type_hints(function)
    except NameError as error:
        raise TypeError(f"{function.__qualname__}: {error}; import it at the top of its module") from error
    found = hints.get(name)
    if isinstance(found, type) and issubclass(found, Message) and found is not Message:
        return found
    raise TypeError(f"{function.__qualname__}: {mend}")
