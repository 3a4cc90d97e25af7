"""What PostgreSQL stores of the follower that brings events to sagas, besides its progress as a consumer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from intent.store.postgres.connections import unavailable
from intent.store.roles import quoted

__all__ = ["FollowerMarks", "PostgresSagaFollower"]


class FollowerMarks(NamedTuple):
    """What the follower must know about the past.

    Attributes:
        began_at: The position after which it brings events; whoever recorded earlier ones brings them.
        rewound_up_to: Up to here, events may have been brought before, as an operator has set it back.
    """

    began_at: int
    rewound_up_to: int


class PostgresSagaFollower:
    """Reads and moves the marks of a context's follower.

    Every method raises `StoreUnavailable` when PostgreSQL is unavailable.

    Args:
        pool: Connections of the service role.
        schema: The context's schema.
    """

    def __init__(self, pool: Any, schema: str) -> None:
        self._pool = pool
        own = quoted(schema)
        self._begin = f"select * from {own}.saga_follower_begin($1, $2)"  # noqa: S608 - a quoted identifier
        self._rewind = f"select {own}.saga_follower_rewind($1)"

    async def begin(self, types: Sequence[str], partitions: int) -> FollowerMarks:
        """Create the consumer that the follower is, unless it exists; return the marks.

        Args:
            types: Full names of the events that it brings.
            partitions: Into how many partitions its work is split.
        """
        with unavailable():
            return FollowerMarks(*await self._pool.fetchrow(self._begin, list(types), partitions))

    async def rewind(self, after: int) -> int:
        """Bring all events after a position again; return the last position of the log."""
        with unavailable():
            last: int = await self._pool.fetchval(self._rewind, after)
        return last
