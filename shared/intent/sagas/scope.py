"""The place of a step in a saga's code: its path, and what may end it early."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

__all__ = ["Scope", "entered", "interruptible", "interrupts", "scope"]

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class Scope:
    """A sequence of steps: the saga itself, or a branch of a parallel step.

    Attributes:
        prefix: The path of the branch; empty for the saga itself.
        parent: The scope around it.
        steps: How many steps have begun.
        failed: True once a branch in it has failed.
        seen: The number of the last event that it knows of; it learns of later ones when it waits.
        stopped: True once it knows that an operator cancelled the saga.
    """

    prefix: str = ""
    parent: Scope | None = None
    steps: int = 0
    failed: bool = False
    seen: int = 0
    stopped: bool = False

    def branch(self, number: int) -> Scope:
        """Return the scope of a branch, which starts with what this one knows."""
        return Scope(f"{self.prefix}.{number}", self, seen=self.seen, stopped=self.stopped)

    def learn(self, seen: int, stopped: bool = False) -> None:
        """Take note of events, and of an operator's cancellation."""
        self.seen = max(self.seen, seen)
        self.stopped = self.stopped or stopped

    def next_path(self) -> str:
        """Return the path of the next step."""
        self.steps += 1
        return f"{self.prefix}.{self.steps}" if self.prefix else str(self.steps)

    @property
    def neighbour_failed(self) -> bool:
        """True when a branch beside this scope, or beside one around it, has failed."""
        return self.failed or (self.parent is not None and self.parent.neighbour_failed)


_scope: ContextVar[Scope] = ContextVar("saga_scope")
_interrupts: ContextVar[frozenset[str]] = ContextVar("saga_interrupts", default=frozenset())


def scope() -> Scope:
    """Return the scope of the running code.

    Raises:
        RuntimeError: No saga is running.
    """
    try:
        return _scope.get()
    except LookupError:
        raise RuntimeError("steps of a saga can only be taken within its run method") from None


@contextmanager
def entered(inner: Scope) -> Iterator[None]:
    """Make a scope that of the running code."""
    with _assigned(_scope, inner):
        yield


def interrupts() -> frozenset[str]:
    """Return the full names of the events that interrupt the running code."""
    return _interrupts.get()


@contextmanager
def interruptible(types: frozenset[str]) -> Iterator[None]:
    """Let events of further types interrupt the running code."""
    with _assigned(_interrupts, _interrupts.get() | types):
        yield


@contextmanager
def _assigned(variable: ContextVar[T], value: T) -> Iterator[None]:
    token = variable.set(value)
    try:
        yield
    finally:
        # A saga that its host drops from memory is closed in another context, which never had the value.
        with suppress(ValueError):
            variable.reset(token)
