"""Poison in a context process costs itself, also when it ends the process again and again."""

from __future__ import annotations

import pytest
from intent.dev.platform import LocalPlatform

from .poison_storm import Poison, PoisonStorm, drawn, poisonous
from .poisoned import DEADLY

pytestmark = pytest.mark.chaos


async def test_poison_costs_only_itself() -> None:
    pieces = [
        Poison("command", "exit"),
        Poison("command", "sleep"),
        Poison("query", "SystemExit"),
        Poison("projection", "surrogate"),
    ]
    with LocalPlatform(durable=False) as platform:
        async with poisonous(platform, ["orders"]) as attendants:
            await PoisonStorm(platform, attendants, 1, pieces, neighbours=9).blow()
            assert attendants["orders"].lost


def test_a_round_is_drawn_from_its_seed() -> None:
    assert drawn(3, 10) == drawn(3, 10) != drawn(4, 10)
    for seed in range(20):
        pieces = drawn(seed, 10)
        assert len(pieces) == 10
        assert {piece.part for piece in pieces} == {"command", "projection", "query", "consumer"}
        assert sum(piece.kind in DEADLY for piece in pieces) <= 2
