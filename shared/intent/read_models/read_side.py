"""The positions of the read models, for those who wait for them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

__all__ = ["ReadSide"]


class ReadSide(Protocol):
    """The positions of the read models; `intent.projections.supervisor.ProjectionSupervisor` knows them."""

    async def reach(
        self, position: int, timeout: float, names: Collection[str] | None = None
    ) -> Sequence[str]:
        """Wait until projections are at a position, at most `timeout` seconds.

        Args:
            position: The position of the log.
            timeout: In seconds; 0 only checks.
            names: The projections to wait for; None: all.

        Returns:
            The names of those that have not reached it.
        """
        ...

    def position_of(self, name: str) -> int:
        """Return a position that a projection has certainly reached."""
        ...
