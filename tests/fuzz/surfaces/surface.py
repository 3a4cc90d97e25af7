"""A surface, as `python -m tests.fuzz` knows it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from ..inputs import Input
from ..target import Target

__all__ = ["Makes", "Sends", "Surface"]

Sends = Callable[[Sequence[Input]], None]
"""Sends inputs at once; raises what must not be raised."""
Makes = Callable[[Sequence[Random]], Input]


@dataclass(frozen=True, slots=True)
class Surface:
    """Something that takes what others send.

    Attributes:
        name: The name.
        about: What is sent to what, in a sentence.
        makes: Returns what makes an input for a context of dice: one for what it begins with, and one for
            each change.
        calls: Returns what sends inputs to a process; None: they stay in this process.
        reads: Reads one input in this process; raises what must not be raised.
    """

    name: str
    about: str
    makes: Callable[[str], Makes]
    calls: Callable[[Target], Sends] | None = None
    reads: Callable[[Input], None] | None = None

    def sends(self, target: Target | None) -> Sends:
        """Return what sends inputs."""
        if self.calls is not None:
            assert target is not None, f"{self.name} needs a process"
            return self.calls(target)
        reads = self.reads
        assert reads is not None, f"{self.name} does nothing"

        def all_of(inputs: Sequence[Input]) -> None:
            for each in inputs:
                reads(each)

        return all_of
