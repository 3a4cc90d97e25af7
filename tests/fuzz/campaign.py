"""Rounds of several surfaces in turn, with a line for each, and memory at the end."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from .inputs import Input
from .rounds import Failed, keep, round_of
from .surfaces.surface import Surface
from .target import GROWTH, Target

__all__ = ["Campaign"]

_ROUND: Final = 2_000
_MOST_FAILURES: Final = 20
"""Failures after which further ones say nothing new."""


@dataclass
class Campaign:
    """Rounds of inputs.

    Attributes:
        context: The context whose contracts the inputs follow.
        target: The process that is called; None: none.
        folder: Where inputs that fail are kept.
        say: Writes a line.
        sent: How many inputs each surface was sent.
        failures: The files of those that failed.
    """

    context: str
    target: Target | None
    folder: Path
    say: Callable[[str], None]
    sent: Counter[str] = field(default_factory=Counter)
    failures: list[Path] = field(default_factory=list)

    def run(
        self,
        surfaces: Sequence[Surface],
        *,
        seed: int = 1,
        inputs: int | None = None,
        until: float | None = None,
        size: int = _ROUND,
    ) -> int:
        """Run rounds until there were so many inputs, or until a time; return 0 when everything held.

        Args:
            surfaces: What takes inputs, in turn.
            seed: The seed of the first round.
            inputs: How many; None: as many as there is time for.
            until: Until when, on the monotonic clock.
            size: About how many inputs a round has.
        """
        self.warm_up(surfaces, size)
        while len(self.failures) < _MOST_FAILURES:
            for surface in surfaces:
                if self._over(inputs, until):
                    return self._summed_up()
                self.one(surface, seed, size if inputs is None else min(size, inputs))
            seed += 1
        return self._summed_up()

    def warm_up(self, surfaces: Sequence[Surface], size: int) -> None:
        """Send a round of each surface, and measure the process's memory after them."""
        if self.target is None:
            return
        for surface in surfaces:
            if surface.calls is not None:
                self.one(surface, 0, size)
        self.target.before = self.target.resident()
        self.say(f"warm: {self.target.before / 2**20:.0f} MiB resident")

    def one(self, surface: Surface, seed: int, number: int) -> None:
        """Run one round; keep what fails."""
        began = time.monotonic()
        try:
            sent = round_of(surface, surface.sends(self.target), self.context, seed, number)
        except Failed as failed:
            self._failed(failed, seed)
            return
        self.sent[surface.name] += sent
        rate = sent / (time.monotonic() - began)
        total = self.sent.total()
        self.say(f"{surface.name}, seed {seed}: {sent:,} inputs held, {rate:,.0f}/s; {total:,} in all")

    def repeat(self, surface: Surface, inputs: Sequence[Input]) -> int:
        """Send inputs again, and return 0 when they hold now."""
        try:
            surface.sends(self.target)(inputs)
        except Exception as error:
            self.say(f"{surface.name}: {type(error).__name__}: {error}")
            return 1
        self.say(f"{surface.name}: {len(inputs)} inputs hold")
        return 0

    def growth(self) -> str:
        """Return what is wrong with the process's memory; empty: nothing."""
        if self.target is None:
            return ""
        after = self.target.resident()
        before = self.target.before
        self.say(f"{after / 2**20:.0f} MiB resident, {before / 2**20:.0f} before")
        grown = after > GROWTH * before
        return f"the process grew from {before:,} to {after:,} bytes" if grown else ""

    def _over(self, inputs: int | None, until: float | None) -> bool:
        if inputs is not None:
            return self.sent.total() >= inputs
        return until is not None and time.monotonic() >= until

    def _failed(self, failed: Failed, seed: int) -> None:
        path = keep(failed, self.folder)
        self.failures.append(path)
        self.say(f"{failed.surface}, seed {seed}: FAILED: {failed.said}")
        self.say(f"  again: make fuzz ARGS='--context {self.context} --repeat {path}'")

    def _summed_up(self) -> int:
        grown = self.growth()
        counts = ", ".join(f"{number:,} {name}" for name, number in self.sent.items())
        self.say(f"{self.sent.total():,} inputs held: {counts}")
        if self.target is not None:
            self.say("answers: " + ", ".join(f"{n:,} {code}" for code, n in self.target.codes.most_common()))
        for line in (grown, *map(str, self.failures)):
            if line:
                self.say(f"FAILED: {line}")
        return 1 if grown or self.failures else 0
