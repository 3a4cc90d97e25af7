"""Poison of each kind in commands, projections, queries and consumers, among good neighbours."""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from intent.dev.platform import LocalPlatform

from ..poison_storm import PoisonStorm, drawn, poisonous
from .kind import Group, Kind, Round, Say, positive, subfolder

__all__ = ["POISON"]


def _arguments(group: Group) -> None:
    group.add_argument("--pieces", type=positive, default=10, help="pieces of poison in a round (10)")


@asynccontextmanager
async def _opened(options: argparse.Namespace, folder: Path) -> AsyncIterator[Round]:
    with subfolder(folder, 0) as own, LocalPlatform(folder=own, durable=False) as platform:
        async with poisonous(platform) as attendants:

            async def round_(seed: int, say: Say) -> str:
                pieces = drawn(seed, options.pieces)
                say(", ".join(f"{piece.part} {piece.kind}" for piece in pieces))
                return await PoisonStorm(platform, attendants, seed, pieces).blow()

            yield round_


POISON = Kind(
    name="poison",
    about="Commands, events and queries whose handlers end their process, hang, raise anything or return "
    "garbage, among orders of three tenants. Each costs itself after three lost processes at most, its "
    "neighbours have one effect and are shown, and health is answered.",
    share=4,
    arguments=_arguments,
    open=_opened,
)
