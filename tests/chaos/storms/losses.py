"""The end of the log is lost under two processes of one context."""

from __future__ import annotations

import argparse
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

from intent.dev.platform import LocalPlatform

from ..losses import LossStorm, promoted, restored
from .kind import Group, Kind, Round, Say, positive, subfolder

__all__ = ["LOSSES"]

_WAYS = {"a standby is promoted": promoted, "a backup is restored": restored}


def _arguments(group: Group) -> None:
    group.add_argument("--lossy-callers", type=positive, default=12, help="number of callers (12)")


@asynccontextmanager
async def _opened(options: argparse.Namespace, folder: Path) -> AsyncIterator[Round]:
    async def round_(seed: int, say: Say) -> str:
        chance = random.Random(seed)
        way, seconds = list(_WAYS)[seed % len(_WAYS)], chance.uniform(0.2, 3.0)
        say(f"{way}, without the last {seconds:.1f} s")
        with subfolder(folder, seed) as own, LocalPlatform(folder=own) as platform:
            await platform.prepare("orders")
            with (
                _WAYS[way](platform, own) as losing,
                platform.service("orders", log_level="warning") as one,
                platform.service("orders", log_level="warning") as other,
            ):
                target = SimpleNamespace(target=f"ipv4:{one.target},{other.target}")
                storm = LossStorm(platform, target, seed=seed, callers=options.lossy_callers)
                async with storm.watched():
                    await storm.lose(losing, seconds, more=chance.uniform(1.0, 3.0))
                    await storm.check()
        return f"{len(storm.sent)} commands, {storm.lost} events lost, {storm.copies.begun_again} copies anew"

    yield round_


LOSSES = Kind(
    name="losses",
    about="The end of the log is lost under two processes: an asynchronous standby is promoted, or a backup "
    "restored to a point in time. Afterwards read models, consumers, subscribers and decisions equal what "
    "the log says.",
    share=8,
    arguments=_arguments,
    open=_opened,
)
