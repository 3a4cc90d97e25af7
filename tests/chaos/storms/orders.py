"""Orders of several tenants through all four contexts, while everything is killed and restarted."""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from intent.dev.platform import LocalPlatform

from ..orders import OrderStorm, Result, plan_of, running
from .kind import Group, Kind, Round, Say, positive, subfolder

__all__ = ["ORDERS", "verdict_on"]

_PROBLEMS_SHOWN = 40


def _arguments(group: Group) -> None:
    group.add_argument("--orders", type=positive, default=400, help="number of orders (400)")
    group.add_argument("--tenants", type=positive, default=4, help="number of tenants (4)")
    group.add_argument("--seconds", type=positive, default=120, help="duration in seconds (120)")
    group.add_argument("--kills", type=positive, default=36, help="number of kills (36)")


@asynccontextmanager
async def _opened(options: argparse.Namespace, folder: Path) -> AsyncIterator[Round]:
    async def round_(seed: int, say: Say) -> str:
        plan = plan_of(seed, options.orders, options.tenants)
        with subfolder(folder, seed) as own, LocalPlatform(folder=own) as platform:
            async with running(platform) as services:
                say(f"{options.kills} kills of PostgreSQL, Temporal and contexts")
                storm = OrderStorm(platform, services, plan, options.seconds, options.kills, seed)
                return verdict_on(await storm.blow())

    yield round_


def verdict_on(result: Result) -> str:
    """Return a line on the result of a storm; raise AssertionError when something does not hold."""
    outcomes = ", ".join(f"{number} {outcome.value}" for outcome, number in result.outcomes.most_common())
    line = (
        f"{result.outcomes.total():,} orders ({outcomes}), {result.sagas:,} sagas, {result.events:,} events, "
        f"quiet {result.quiet_after:.0f} s after everything ran again"
    )
    further = len(result.problems) - _PROBLEMS_SHOWN
    shown = [*result.problems[:_PROBLEMS_SHOWN], *([f"and {further} more"] if further > 0 else [])]
    assert not result.problems, "\n".join([line, *shown])
    return line


ORDERS = Kind(
    name="orders",
    about="Orders of several tenants go through all four contexts, with declined cards, too little stock, "
    "parcels that come back and customers who change their minds, while everything is killed and started "
    "again. Each order is completed, paid once and sent once, or cancelled, with nothing charged and nothing "
    "held; no saga is left, logs have no gaps, read models equal a rebuild.",
    share=2,
    arguments=_arguments,
    open=_opened,
)
