"""Rounds go on after a failure, and say how to repeat the one that failed."""

from __future__ import annotations

import argparse
import io
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from rich.console import Console

from .rounds import Rounds, shared_out
from .storms import STORMS
from .storms.kind import Kind, Round, Say


def kind(share: int, *, broken: int | None = None, starts: list[Path] | None = None) -> Kind:
    """Return a storm whose round with one seed fails."""

    @asynccontextmanager
    async def opened(options: argparse.Namespace, folder: Path) -> AsyncIterator[Round]:
        if starts is not None:
            starts.append(folder)

        async def round_(seed: int, say: Say) -> str:
            say(f"fault {seed}")
            assert seed != broken, "something was lost"
            return "all well"

        yield round_

    return Kind(f"kind-{share}", "Nothing.", share, lambda group: None, opened)


async def test_a_failed_round_says_its_seed_its_fault_and_its_folder_and_others_follow() -> None:
    starts: list[Path] = []
    text = io.StringIO()
    rounds = Rounds(kind(1, broken=8, starts=starts), argparse.Namespace(seed=7), Console(file=text))
    await rounds.run(3)
    assert (rounds.held, rounds.failed) == (2, [8])
    said = text.getvalue()
    assert "kind-1 1, seed 7, " in said
    assert "kind-1, seed 8: fault 8: FAILED\nsomething was lost\n" in said
    assert "again: make chaos ARGS='--only kind-1 --seed 8 --rounds 1'" in said
    kept = re.search("logs and data are kept in (.*)", said)
    assert kept
    assert [folder for folder in starts if folder.exists()] == [Path(kept[1])]
    shutil.rmtree(kept[1])


def test_rounds_are_shared_out_and_every_storm_has_one() -> None:
    assert shared_out(500, list(STORMS.values())).keys() == STORMS.keys()
    assert sum(shared_out(500, list(STORMS.values())).values()) == 500
    assert shared_out(10, [kind(1), kind(99)]) == {"kind-1": 1, "kind-99": 9}
    assert shared_out(7, [kind(3)]) == {"kind-3": 7}
