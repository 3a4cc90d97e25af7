"""Rounds of inputs from a seed; the input that fails is made small, and kept as a file."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Final

import hypothesis
from hypothesis import HealthCheck, Phase, given
from hypothesis import strategies as st

from .inputs import Input, read, written
from .surfaces.surface import Sends, Surface

__all__ = ["Failed", "keep", "kept", "round_of"]

_AT_ONCE: Final = 16
_MOST_CHANGES: Final = 5
# A number for what an input begins with and one for each change: cheap to draw, and made small by leaving
# changes out.
_numbers: Final = st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=1 + _MOST_CHANGES)


class Failed(Exception):
    """An input made fail what takes it.

    Attributes:
        surface: The name of the surface.
        inputs: The inputs that were sent at once.
        said: What happened.
    """

    def __init__(self, surface: str, inputs: Sequence[Input], said: str) -> None:
        super().__init__(f"{surface}: {said}")
        self.surface = surface
        self.inputs = list(inputs)
        self.said = said


def round_of(surface: Surface, send: Sends, context: str, seed: int, number: int) -> int:
    """Send inputs of one seed, and return how many.

    Args:
        surface: What takes them.
        send: Sends them.
        context: The context whose contracts they follow.
        seed: The seed, by which the round can be repeated.
        number: About how many.

    Raises:
        Failed: An input made something fail.
    """
    make = surface.makes(context)
    sent = 0
    last: Failed | None = None

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=max(1, number // (_AT_ONCE // 2)),
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
        print_blob=False,
        verbosity=hypothesis.Verbosity.quiet,
    )
    @given(st.lists(_numbers, min_size=1, max_size=_AT_ONCE))
    def sends(numbers: list[list[int]]) -> None:
        inputs = [make([Random(each) for each in rolled]) for rolled in numbers]
        nonlocal sent, last
        sent += len(inputs)
        try:
            send(inputs)
        except Exception as error:
            last = Failed(surface.name, inputs, f"{type(error).__name__}: {error}")
            raise

    try:
        sends()
    except Exception as error:
        if last is None:
            raise
        raise last from error
    return sent


def keep(failed: Failed, folder: Path) -> Path:
    """Write the inputs of a failure to a file, and return it; they have the same name each time."""
    text = written({"surface": failed.surface, "said": failed.said, "inputs": failed.inputs})
    digest = hashlib.sha256(written(failed.inputs).encode()).hexdigest()[:12]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{failed.surface}-{digest}.json"
    path.write_text(text + "\n")
    return path


def kept(path: Path) -> tuple[str, list[Input]]:
    """Return the surface and the inputs of a file."""
    document = read(path.read_text())
    return document["surface"], document["inputs"]
