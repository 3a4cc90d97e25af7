"""Which types of command create aggregates, guessed from what their earlier ones found."""

from __future__ import annotations

from typing import Final

__all__ = ["NewAggregateGuess"]

_SURE_AFTER: Final = 32


class NewAggregateGuess:
    """A guess whether the store has the aggregate of a command.

    Most aggregates begin with the same few types of command, and loading is then a wasted round trip:
    the append checks that the stream does not exist. After a wrong guess the append is refused and the
    aggregate is loaded after all. So a type of command counts as one that creates aggregates once it has
    found only new ones for a while, and no longer does after a single one that existed.
    """

    def __init__(self) -> None:
        self._in_a_row: dict[str, int] = {}

    def likely(self, command_type: str) -> bool:
        """Return whether an aggregate that a command of this type addresses is probably new."""
        return self._in_a_row.get(command_type, 0) >= _SURE_AFTER

    def observe(self, command_type: str, *, new: bool) -> None:
        """Record whether the aggregate of such a command was new."""
        self._in_a_row[command_type] = self._in_a_row.get(command_type, 0) + 1 if new else 0
