"""Declares how a message of an older schema version becomes one of a later version."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from google.protobuf.message import Message

from intent.annotations import annotated_message, returned_message

__all__ = ["SchemaVersion", "Upcaster", "upcasts"]

Old = TypeVar("Old", bound=Message)
New = TypeVar("New", bound=Message)


class SchemaVersion(NamedTuple):
    """One schema version of a message.

    Attributes:
        type: The message's full name.
        version: The schema version.
    """

    type: str
    version: int

    def __str__(self) -> str:
        return f"{self.type} version {self.version}"


@dataclass(frozen=True, slots=True)
class Upcaster(Generic[Old, New]):
    """Turns a message of one schema version into a message of a later one.

    Attributes:
        function: Upcasts, without I/O; it may change the message that it is given and return it.
        from_version: The schema version that it takes.
        to_version: The schema version that it returns; None: the next one.
    """

    function: Callable[[Old], New]
    from_version: int
    to_version: int | None = None

    def __call__(self, old: Old) -> New:
        """Return the message in the later schema version."""
        return self.function(old)

    @property
    def taken(self) -> type[Message]:
        """The class of what it takes, from the annotation of the function's parameter.

        Raises:
            TypeError: It has another number of parameters, or the annotation is missing or names no message.
        """
        parameters = tuple(inspect.signature(self.function).parameters)
        if len(parameters) != 1:
            name = self.function.__qualname__
            raise TypeError(f"{name}: it has {len(parameters)} parameters; let it take one message")
        return annotated_message(self.function, parameters[0])

    @property
    def source(self) -> SchemaVersion:
        """The schema version that it takes."""
        return SchemaVersion(self.taken.DESCRIPTOR.full_name, self.from_version)

    @property
    def target(self) -> SchemaVersion:
        """The schema version that it returns."""
        version = self.from_version + 1 if self.to_version is None else self.to_version
        return SchemaVersion(returned_message(self.function).DESCRIPTOR.full_name, version)


def upcasts(
    from_version: int, *, to_version: int | None = None
) -> Callable[[Callable[[Old], New]], Upcaster[Old, New]]:
    """Declare a function as an upcaster; its annotations say what it takes and returns.

    Example::

        @upcasts(from_version=1)
        def with_currency(old: OrderPlaced) -> OrderPlaced:
            old.currency = "EUR"
            return old

    A function that returns another message than it takes renames the event. It must set
    `to_version`, because the versions of the two messages are independent.

    Args:
        from_version: The schema version that it takes.
        to_version: The schema version that it returns; by default the next one.
    """

    def declare(function: Callable[[Old], New]) -> Upcaster[Old, New]:
        return Upcaster(function, from_version, to_version)

    return declare
