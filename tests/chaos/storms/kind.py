"""A storm, as `python -m tests.chaos` knows it."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Group", "Kind", "Round", "Say", "positive", "subfolder"]

Group = argparse._ArgumentGroup
Say = Callable[[str], None]
"""Says in a few words what is done to the machinery; a failure shows what was said last."""
Round = Callable[[int, Say], Awaitable[str]]
"""Runs one round with a seed, which repeats it, and returns a line on what held.

It raises AssertionError when something does not hold.
"""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of storm.

    Attributes:
        name: The name.
        about: What is done to what, and what must hold, in a sentence or two.
        share: The number of its rounds among 500.
        arguments: Adds the arguments of its own to the parser.
        open: Starts what its rounds have in common in a folder, for the duration of the block.
    """

    name: str
    about: str
    share: int
    arguments: Callable[[Group], None]
    open: Callable[[argparse.Namespace, Path], AbstractAsyncContextManager[Round]]


def positive(text: str) -> int:
    """Return a number from an argument."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} must be a whole number from 1")
    return int(text)


@contextmanager
def subfolder(folder: Path, seed: int) -> Iterator[Path]:
    """Return a folder for the machinery of one round; it is kept when the round fails."""
    own = folder / f"seed-{seed}"
    own.mkdir()
    yield own
    shutil.rmtree(own, ignore_errors=True)
