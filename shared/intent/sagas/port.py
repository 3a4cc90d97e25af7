"""Ports: what a saga asks of the world outside, through an adapter of its context."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic, TypeVar

from google.protobuf.message import Message

__all__ = ["Adapter", "Port"]

Q = TypeVar("Q", bound=Message)
A = TypeVar("A", bound=Message)


@dataclass(frozen=True, slots=True)
class Port(Generic[Q, A]):
    """Something outside that a saga may ask, e.g. a payment provider.

    Attributes:
        name: Its name, unique in its context.
        request: The message that it is asked with.
        answer: The message that it answers with.
        timeout: How long one attempt may take.
    """

    name: str
    request: type[Q]
    answer: type[A]
    timeout: timedelta = timedelta(seconds=30)

    def served_by(self, function: Callable[[Q], Awaitable[A]]) -> Adapter:
        """Returns what answers, to name in the context's `ports`.

        Args:
            function: Asks the world outside. It is called again until it answers, after a crash
                too, so what it does must be safe to repeat: send a key by which the other side
                tells a repetition. An exception means that it is to be asked again, later.
        """
        return Adapter(self, function)


@dataclass(frozen=True, slots=True)
class Adapter:
    """What answers for a port.

    Attributes:
        port: The port.
        function: Asks the world outside.
    """

    port: Port[Any, Any]
    function: Callable[[Any], Awaitable[Message]]
