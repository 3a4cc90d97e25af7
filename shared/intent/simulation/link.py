"""The connection to a simulated system: it takes time, loses answers and delivers some twice."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from enum import Enum
from typing import Final

from intent.simulation.variables import share, whole_number

__all__ = ["Link", "NoAnswer", "Trouble"]

_FLAKY_ATTEMPTS: Final = 2
_SPREAD: Final = 1 << 32


class NoAnswer(Exception):
    """The system did not answer. Whether it acted is unknown: call again under the same key."""


class Trouble(Enum):
    """What goes wrong with one attempt."""

    NONE = "none"
    """Nothing."""
    REFUSED = "refused"
    """The call does not arrive; nothing happens."""
    LOST = "lost"
    """The call arrives and has its effect, but the answer is lost."""
    TWICE = "twice"
    """The answer is delivered twice."""


@dataclass(frozen=True, slots=True)
class Link:
    """How the connection to a simulated system behaves.

    What goes wrong with an attempt depends on its key and its number alone, so that a run
    can be repeated.

    Attributes:
        latency_ms: How long an answer takes, in milliseconds, give or take a half; 0: no delay.
        slow_ms: How long a deliberately slow answer takes, in milliseconds.
        trouble: The share of attempts with which something goes wrong, from 0 to 1.
    """

    latency_ms: int = 0
    slow_ms: int = 0
    trouble: float = 0.0

    @classmethod
    def from_environment(cls, prefix: str, *, latency_ms: int = 50, slow_ms: int = 3000) -> Link:
        """Read ``<prefix>_LATENCY_MS``, ``<prefix>_SLOW_MS`` and ``<prefix>_TROUBLE``.

        Args:
            prefix: The prefix of the variables, e.g. ``PAYMENTS_PROVIDER``.
            latency_ms: The latency when nothing is set.
            slow_ms: The slow latency when nothing is set.

        Raises:
            ConfigurationError: A value is invalid; names the variable.
        """
        return cls(
            whole_number(f"{prefix}_LATENCY_MS", latency_ms),
            whole_number(f"{prefix}_SLOW_MS", slow_ms),
            share(f"{prefix}_TROUBLE"),
        )

    def trouble_of(self, marker: str, key: str, attempt: int) -> Trouble:
        """Return what goes wrong with an attempt.

        Args:
            marker: ``flaky``, ``timeout`` or ``twice`` demand trouble; anything else leaves it to chance.
            key: The idempotency key.
            attempt: The number of the attempt, from 1 up.
        """
        if marker == "flaky":
            return Trouble.REFUSED if attempt <= _FLAKY_ATTEMPTS else Trouble.NONE
        if marker == "timeout":
            return Trouble.LOST if attempt == 1 else Trouble.NONE
        if marker == "twice":
            return Trouble.TWICE
        if _chance(key, attempt) < self.trouble:
            return (Trouble.REFUSED, Trouble.LOST, Trouble.TWICE)[int(_chance(f"which/{key}", attempt) * 3)]
        return Trouble.NONE

    async def delay(self, marker: str, key: str, attempt: int) -> None:
        """Wait as long as the answer takes; the marker ``slow`` demands a slow one."""
        milliseconds = self.slow_ms if marker == "slow" else self.latency_ms
        if milliseconds:
            await asyncio.sleep(milliseconds / 1000 * (0.5 + _chance(f"delay/{key}", attempt)))


def _chance(key: str, attempt: int) -> float:
    """Return a number from 0 to below 1, the same for the same key and attempt."""
    digest = hashlib.sha256(f"{attempt}/{key}".encode()).digest()
    return int.from_bytes(digest[:4]) / _SPREAD
