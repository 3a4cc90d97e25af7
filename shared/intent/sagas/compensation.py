"""Compensations: the commands by which a failed saga undoes its steps, the last one first."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import TypeAlias

from google.protobuf.message import Message

__all__ = ["Compensation", "Compensations", "Registered", "Undo"]


@dataclass(frozen=True, slots=True)
class Compensation:
    """A command that undoes the effect of a step.

    Attributes:
        command: The command.
        accepts: Reasons of rejections that count as done, e.g. because the effect is gone already. Binding
            the context checks them against `rejects` of the command's contract.
    """

    command: Message
    accepts: frozenset[str] = frozenset()

    def __init__(self, command: Message, accepts: Set[str] = frozenset()) -> None:
        object.__setattr__(self, "command", command)
        object.__setattr__(self, "accepts", frozenset(accepts))


Undo: TypeAlias = Message | Compensation | Sequence[Message | Compensation] | None
"""What an author may give as the compensation of a step; several run in the order given."""


@dataclass(slots=True, eq=False)
class Registered:
    """A compensation of a step.

    Attributes:
        path: Its own path among the steps.
        step: The path of the step that it undoes.
        compensation: The compensation.
    """

    path: str
    step: str
    compensation: Compensation


class Compensations:
    """The compensations of a saga, in the order in which they were registered."""

    def __init__(self) -> None:
        self._registered: list[Registered] = []

    def add(self, step: str, undo: Undo) -> list[Registered]:
        """Register the compensations of a step, and return them for `drop`.

        Several compensations of one step run in the order given, so they are registered in reverse.
        """
        listed = _listed(undo)
        added = [
            Registered(f"undo-{step}" if len(listed) == 1 else f"undo-{step}.{number}", step, one)
            for number, one in reversed(list(enumerate(listed, 1)))
        ]
        self._registered.extend(added)
        return added

    def drop(self, added: Sequence[Registered]) -> None:
        """Remove registered compensations whose step had no effect."""
        self._registered = [one for one in self._registered if not any(one is gone for gone in added)]

    def clear(self) -> None:
        """Remove all compensations."""
        self._registered.clear()

    def reversed(self) -> list[Registered]:
        """Return the compensations in the order in which they run: the last one first."""
        return self._registered[::-1]


def _listed(undo: Undo) -> list[Compensation]:
    if undo is None:
        return []
    if isinstance(undo, Message | Compensation):
        undo = [undo]
    return [one if isinstance(one, Compensation) else Compensation(one) for one in undo]
