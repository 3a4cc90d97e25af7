"""Ports: the calls of a saga to outside systems, through adapters of its context."""

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
    """An outside system that a saga may call, e.g. a payment provider.

    Attributes:
        name: Its name, unique in its context.
        request: The class of the request.
        answer: The class of the answer.
        timeout: How long one attempt may take.
    """

    name: str
    request: type[Q]
    answer: type[A]
    timeout: timedelta = timedelta(seconds=30)

    def served_by(self, function: Callable[[Q], Awaitable[A]]) -> Adapter:
        """Return the adapter of the port, to name in the context's `ports`.

        Args:
            function: Calls the outside system. It is called again until it answers, also after a
                crash, so its effect must be safe to repeat: send an idempotency key by which the
                other side recognizes a repetition. After an exception it is called again later.
        """
        return Adapter(self, function)


@dataclass(frozen=True, slots=True)
class Adapter:
    """What answers the calls of a port.

    Attributes:
        port: The port.
        function: Calls the outside system.
    """

    port: Port[Any, Any]
    function: Callable[[Any], Awaitable[Message]]
