"""Which commands begin aggregates, as seen from what they observe before."""

from __future__ import annotations

from typing import Final

__all__ = ["NewAggregateGuess"]

_SURE_AFTER: Final = 32


class NewAggregateGuess:
    """Guesses for which commands a look at the store finds nothing.

    Most aggregates begin with the same few commands, and then loading is a round trip for nothing:
    the append checks that the stream does not exist. A wrong guess has the append refused and the
    aggregate loaded after all, so a type of command has to have observe nothing but new aggregates for
    a while, and loses the trust by a single one that was there.
    """

    def __init__(self) -> None:
        self._in_a_row: dict[str, int] = {}

    def likely(self, command_type: str) -> bool:
        """Returns whether an aggregate that a command of this type addresses is probably new."""
        return self._in_a_row.get(command_type, 0) >= _SURE_AFTER

    def observe(self, command_type: str, *, new: bool) -> None:
        """Notes what loading the aggregate of such a command found."""
        self._in_a_row[command_type] = self._in_a_row.get(command_type, 0) + 1 if new else 0
