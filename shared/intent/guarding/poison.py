"""What is said of code that does harm."""

from __future__ import annotations

from typing import Final

__all__ = ["MOST_LOSSES", "Poison", "crashed"]

MOST_LOSSES: Final = 3
"""After so many lost processes a piece of work is not tried again with the same code."""


class Poison(Exception):
    """A piece of an author's code raised what is no `Exception`, took too long, or killed its process."""

    @classmethod
    def of_losses(cls) -> Poison:
        """Return the error for a piece that is not tried again."""
        return cls(f"{MOST_LOSSES} processes were lost while it was being handled")


def crashed(error: BaseException) -> Poison:
    """Return the error for code that raised what ends a process, a task or a generator."""
    return Poison(f"it raised {type(error).__name__}")
