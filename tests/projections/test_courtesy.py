"""Rebuilds leave the process to commands while any are in flight."""

from __future__ import annotations

import asyncio

from intent.projections.rebuilding.courtesy import Courtesy
from intent.waiting import now


async def shares(courtesy: Courtesy, rebuilds: int, seconds: float) -> float:
    """Run rebuilds for a while; return the share of the time in which any of them worked."""
    worked = 0.0
    start = now()

    async def rebuild() -> None:
        nonlocal worked
        while now() < start + seconds:
            async with courtesy.turn():
                began = now()
                await asyncio.sleep(0.002)
                worked += now() - began

    await asyncio.gather(*(rebuild() for _ in range(rebuilds)))
    # On a busy machine the last pages, and the rests after them, end much later.
    return worked / (now() - start)


async def test_rebuilds_together_take_a_small_share_while_commands_are_in_flight() -> None:
    courtesy = Courtesy()
    courtesy.busy = lambda: True
    assert courtesy.page(4_000) < 100
    assert await shares(courtesy, rebuilds=3, seconds=0.5) < 0.25


async def test_a_rebuild_takes_everything_while_no_command_is_in_flight() -> None:
    courtesy = Courtesy()
    assert courtesy.page(4_000) == 4_000
    assert await shares(courtesy, rebuilds=1, seconds=0.1) > 0.5
