"""Sagas, while PostgreSQL of one context refuses to write for longer than they may be held up."""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from intent.dev.platform import LocalPlatform

from ..orders import running
from ..read_only import PARKS_SOON, ReadOnlyStorm, plan_without_trouble, read_only_of
from .kind import Group, Kind, Round, Say, positive, subfolder
from .orders import verdict_on

__all__ = ["SAGAS"]

_TENANTS = 4


def _arguments(group: Group) -> None:
    group.add_argument("--held-orders", type=positive, default=60, help="number of orders (60)")
    group.add_argument("--held-seconds", type=positive, default=60, help="seconds without writes (60)")


@asynccontextmanager
async def _opened(options: argparse.Namespace, folder: Path) -> AsyncIterator[Round]:
    async def round_(seed: int, say: Say) -> str:
        seconds = options.held_seconds
        plan = plan_without_trouble(seed, options.held_orders, _TENANTS)
        with subfolder(folder, seed) as own, LocalPlatform(folder=own) as platform:
            async with running(platform, PARKS_SOON) as services:
                say(f"{read_only_of(platform, seed).name} ends for {seconds} s")
                storm = ReadOnlyStorm(platform, services, plan, seconds, 1, seed)
                line = verdict_on(await storm.blow())
        return f"{len(storm.held_up)} sagas were stuck for a while; {line}"

    yield round_


SAGAS = Kind(
    name="sagas",
    about="PostgreSQL of one context refuses to write for longer than a saga may be held up before it is "
    "stuck. No saga compensates, and all complete once it writes again.",
    share=1,
    arguments=_arguments,
    open=_opened,
)
