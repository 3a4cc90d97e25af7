"""Runs the rounds of storms: a line for each, and for a failure all that is needed to repeat it."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import tempfile
import time
import traceback
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from .storms.kind import Kind, Round

__all__ = ["Rounds", "shared_out"]

_MOST_FAILURES = 10
"""Failures of a storm after which its further rounds say nothing new."""


def shared_out(rounds: int, kinds: Sequence[Kind]) -> dict[str, int]:
    """Return the number of rounds of each storm: by share, at least one.

    Args:
        rounds: The number of rounds in all.
        kinds: The storms.
    """
    total = sum(kind.share for kind in kinds)
    numbers = {kind.name: max(1, rounds * kind.share // total) for kind in kinds}
    largest = max(kinds, key=lambda kind: kind.share)
    numbers[largest.name] = max(1, numbers[largest.name] + rounds - sum(numbers.values()))
    return numbers


@dataclass
class Rounds:
    """The rounds of one storm.

    Attributes:
        kind: The storm.
        options: The arguments.
        console: Where lines are written.
        held: The number of rounds in which everything held.
        failed: The seeds of the others.
    """

    kind: Kind
    options: argparse.Namespace
    console: Console
    held: int = 0
    failed: list[int] = field(default_factory=list)
    _said: str = ""

    async def run(self, rounds: int) -> None:
        """Run a number of rounds; after a failure on machinery that is started afresh."""
        self._print(f"[bold]the storm of {self.kind.name}[/bold]: {rounds} rounds")
        first = self.options.seed
        seeds = list(range(first, first + rounds))
        while seeds and len(self.failed) < _MOST_FAILURES:
            folder = _new_folder(self.kind)
            if await self._until_failure(seeds, folder):
                shutil.rmtree(folder, ignore_errors=True)
            else:
                self._print(f"  logs and data are kept in {folder}")

    async def _until_failure(self, seeds: list[int], folder: Path) -> bool:
        """Take seeds and run their rounds until one fails or none is left; return whether all held."""
        seed = seeds[0]
        try:
            async with AsyncExitStack() as stack:
                round_ = await stack.enter_async_context(self.kind.open(self.options, folder))
                while seeds:
                    seed = seeds.pop(0)
                    await self._one(round_, seed)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            if seed in seeds:
                seeds.remove(seed)
            self._failed(seed, error)
            return False
        return True

    async def _one(self, round_: Round, seed: int) -> None:
        self._said = ""
        began = time.monotonic()
        line = await round_(seed, self._say)
        self.held += 1
        number, took = self.held + len(self.failed), time.monotonic() - began
        self._print(f"{self.kind.name} {number}, seed {seed}, {took:.1f} s: {self._said}: held; {line}")

    def _say(self, words: str) -> None:
        self._said = words

    def _failed(self, seed: int, error: Exception) -> None:
        self.failed.append(seed)
        words = str(error) if isinstance(error, AssertionError) and str(error) else _all_of(error)
        self._print(f"{self.kind.name}, seed {seed}: {self._said or 'starting'}: FAILED", style="red")
        self._print(words, style="red", markup=False)
        self._print(f"  again: make chaos ARGS='--only {self.kind.name} --seed {seed} --rounds 1'")

    def _print(self, text: str, style: str | None = None, markup: bool = True) -> None:
        self.console.print(text, style=style, markup=markup, highlight=False, soft_wrap=True)


def _new_folder(kind: Kind) -> Path:
    folder = Path(tempfile.mkdtemp(prefix=f"intent-chaos-{kind.name}-"))
    # PostgreSQL runs as a user of its own under root.
    folder.chmod(0o755)
    return folder


def _all_of(error: Exception) -> str:
    return "".join(traceback.format_exception(error)).rstrip()
