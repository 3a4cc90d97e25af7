"""One fault after the other under everything that a context does, on an installation used for many rounds."""

from __future__ import annotations

import argparse
import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from ...support.pooler import no_pooler
from ..bed import Bed, laid
from ..menu import MENU
from ..quiet import Quiet
from ..traffic import Traffic
from ..witnesses import Consumed, Subscriber, consuming
from .kind import Group, Kind, Round, Say

__all__ = ["FAULTS"]

_ROUNDS_OF_A_BED = 40
"""Rounds after which an installation is laid afresh: its logs, which each round reads, stay short."""
_BETWEEN = 0.5


def _arguments(group: Group) -> None:
    group.add_argument(
        "--pooled", action="store_true", help="put PgBouncer into every installation; default: every second"
    )
    group.add_argument(
        "--faults",
        type=_faults,
        default=list(MENU),
        metavar="NAME,…",
        help=f"only these faults: {', '.join(MENU)}; default: all in turn",
    )


def _faults(text: str) -> list[str]:
    names = text.split(",")
    for name in names:
        if name not in MENU:
            raise argparse.ArgumentTypeError(f"there is no fault {name}; there are {', '.join(MENU)}")
    return names


@asynccontextmanager
async def _opened(options: argparse.Namespace, folder: Path) -> AsyncIterator[Round]:
    """Lay beds, each for a number of rounds."""
    names: list[str] = options.faults
    async with AsyncExitStack() as stack:
        rounds = 0
        bed, consumed = await stack.enter_async_context(_laid(folder, 1, options.pooled))

        async def round_(seed: int, say: Say) -> str:
            nonlocal rounds, bed, consumed
            if rounds and rounds % _ROUNDS_OF_A_BED == 0:
                await stack.aclose()
                number = rounds // _ROUNDS_OF_A_BED + 1
                bed, consumed = await stack.enter_async_context(_laid(folder, number, options.pooled))
            rounds += 1
            return await storm(bed, consumed, seed, [names[seed % len(names)]], say)

        yield round_


@asynccontextmanager
async def _laid(folder: Path, number: int, pooled: bool) -> AsyncIterator[tuple[Bed, Consumed]]:
    """Lay a bed; every second one has PgBouncer before PostgreSQL, where that is installed."""
    own = folder / f"bed-{number}"
    await asyncio.to_thread(own.mkdir)
    async with (
        laid(own, pooled=(pooled or number % 2 == 0) and not no_pooler()) as bed,
        consuming(bed.clients["orders"]) as consumed,
    ):
        yield bed, consumed


async def storm(bed: Bed, consumed: Consumed, seed: int, names: Sequence[str], say: Say) -> str:
    """Let things go wrong under load, one after the other, and check what must hold once it is quiet."""
    chance = random.Random(f"fault-{seed}")
    troubles = [MENU[name](bed, chance) for name in names]
    through = " through PgBouncer" if bed.pooler else ""
    say(", then ".join(trouble.words for trouble in troubles) + through)
    traffic = Traffic(bed, seed)
    await traffic.stock_up()
    client = bed.clients["orders"]
    async with Subscriber.following(client, [*traffic.tenants, traffic.shop]) as subscribers:
        calling = traffic.start()
        try:
            for trouble in troubles:
                await asyncio.sleep(_BETWEEN)
                async with trouble.happening:
                    await asyncio.sleep(trouble.lasts)
            await asyncio.sleep(_BETWEEN)
        finally:
            traffic.stop()
            await calling
        quiet = Quiet(bed, traffic, consumed, subscribers)
        await quiet.check()
    return (
        f"{len(traffic.sent)} commands, {traffic.queries} queries, {len(quiet.log)} events, slowest answer "
        f"{traffic.slowest():.1f} s"
    )


FAULTS = Kind(
    name="faults",
    about="Two processes of orders and one of each other context take commands, queries, subscriptions, "
    "consumers and sagas while one thing after the other goes wrong: with PostgreSQL, Temporal, a standby, a "
    "process, a release. Each accepted command has one effect and its first answer; every event reached "
    "every subscriber and consumer in order; sagas complete, since nothing is rejected; read models equal a "
    "rebuild; no workflow is open, and every process is ready again.",
    share=454,
    arguments=_arguments,
    open=_opened,
)
