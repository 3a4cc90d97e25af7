"""Sagas, while one context cannot write for longer than they may be held up, or Temporal loses its data."""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from intent.dev.platform import LocalPlatform

from ..forgetful import ForgetfulStorm
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
        return await (held_up if seed % 2 else forgotten)(seed, say)

    async def forgotten(seed: int, say: Say) -> str:
        plan = plan_without_trouble(seed, options.held_orders, _TENANTS)
        with subfolder(folder, seed) as own, LocalPlatform(folder=own, keep_workflows=False) as platform:
            async with running(platform) as services:
                say("Temporal loses all that it remembers")
                storm = ForgetfulStorm(platform, services, plan, options.held_seconds / 4, 1, seed)
                return verdict_on(await storm.blow())

    async def held_up(seed: int, say: Say) -> str:
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
    "stuck; in every second round Temporal loses its data, and the logs are delivered to sagas again. No "
    "saga compensates, and all complete afterwards, having heard what the logs say.",
    share=2,
    arguments=_arguments,
    open=_opened,
)
