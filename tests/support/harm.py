"""What an author's code may do to the process that runs it, and yet return or raise."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping

from intent.guarding import Guard

__all__ = ["BASE_EXCEPTIONS", "HARM", "MemoryDoubts", "quick"]

BASE_EXCEPTIONS = (SystemExit, KeyboardInterrupt, asyncio.CancelledError, GeneratorExit)


def quick() -> Guard:
    """Return a guard with a short limit."""
    return Guard(limit=0.3)


def _raising(error: type[BaseException]) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


def _spin() -> None:
    while True:
        pass


def _recurse() -> None:
    _recurse()


HARM: Mapping[str, Callable[[], None]] = {
    **{error.__name__: _raising(error) for error in (*BASE_EXCEPTIONS, MemoryError)},
    "loop": _spin,
    "sleep": lambda: time.sleep(60),
    "recursion": _recurse,
}


class MemoryDoubts:
    """A store of doubts in memory."""

    def __init__(self) -> None:
        self.losses: dict[bytes, int] = {}
        self.tried: set[bytes] = set()

    async def note(self, key: bytes, what: str) -> int:
        """Count one more loss."""
        self.losses[key] = self.losses.get(key, 0) + 1
        return self.losses[key]

    async def attempt(self, key: bytes, what: str, longest: float) -> int:
        """Count one more loss in advance."""
        if key in self.tried:
            return 0
        self.tried.add(key)
        self.losses[key] = max(self.losses.get(key, 0) + 1, 2)
        return self.losses[key]

    async def confirm(self, key: bytes) -> int:
        """Count what was counted in advance."""
        self.tried.discard(key)
        return self.losses.get(key, 0)

    async def clear(self, keys: Iterable[bytes]) -> None:
        """Forget pieces."""
        for key in keys:
            self.losses.pop(key, None)
            self.tried.discard(key)

    async def read(self) -> Mapping[bytes, int]:
        """Return all losses, without the attempts that are under way."""
        return {key: losses - (key in self.tried) for key, losses in self.losses.items()}
