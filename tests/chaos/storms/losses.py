"""The end of the log is lost under two processes of one context."""

from __future__ import annotations

import argparse
import random
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

from intent.dev.platform import LocalPlatform

from ...support.pooler import no_pooler
from ..bed import pooler_before, through
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
        pooled = seed // len(_WAYS) % 2 == 1 and not no_pooler()
        say(f"{way}, without the last {seconds:.1f} s" + (", behind PgBouncer" if pooled else ""))
        with subfolder(folder, seed) as own, LocalPlatform(folder=own) as platform, ExitStack() as stack:
            await platform.prepare("orders")
            between = stack.enter_context(pooler_before(platform, ["orders"])) if pooled else None
            environment = {} if between is None else through(between, platform, "orders")
            with (
                _WAYS[way](platform, own) as losing,
                platform.service("orders", environment=environment, log_level="warning") as one,
                platform.service("orders", environment=environment, log_level="warning") as other,
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
    about="The end of the log is lost under two processes, every other time behind PgBouncer where that is "
    "installed: an asynchronous standby is promoted, or a backup restored to a point in time. Then read "
    "models, consumers, subscribers and decisions equal what the log says.",
    share=8,
    arguments=_arguments,
    open=_opened,
)
