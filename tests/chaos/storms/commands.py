"""Many callers of one context, while its process, PostgreSQL and Temporal are killed and restarted."""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from intent.dev.platform import LocalPlatform

from ..storm import Storm
from .kind import Group, Kind, Round, Say, positive, subfolder

__all__ = ["COMMANDS"]

_PAUSE = 3.0


def _arguments(group: Group) -> None:
    group.add_argument("--restarts", type=positive, default=12, help="kills and restarts in a round (12)")
    group.add_argument("--callers", type=positive, default=32, help="number of callers (32)")


@asynccontextmanager
async def _opened(options: argparse.Namespace, folder: Path) -> AsyncIterator[Round]:
    async def round_(seed: int, say: Say) -> str:
        with subfolder(folder, seed) as own, LocalPlatform(folder=own) as platform:
            await platform.prepare("orders")
            with platform.service("orders", log_level="warning") as service:
                storm = Storm(platform, service, seed=seed, callers=options.callers)
                kinds = [
                    service.kill_and_start,
                    storm.restart_postgres,
                    storm.kill_postgres,
                    storm.restart_temporal,
                ]
                disruptions = [storm.random.choice(kinds) for _ in range(options.restarts)]
                say(", ".join(kind.__name__ for kind in disruptions))
                await storm.blow(disruptions, pause=_PAUSE)
                await storm.check()
        return (
            f"{len(storm.sent):,} commands, slowest answer {storm.slowest_after_restart():.1f} s after a "
            "restart"
        )

    yield round_


COMMANDS = Kind(
    name="commands",
    about="Many callers place and change orders in one context while its process, PostgreSQL and Temporal "
    "are killed and restarted. Every command has one effect and its first answer, the log has no gap, "
    "read models equal a rebuild, nothing is stuck.",
    share=4,
    arguments=_arguments,
    open=_opened,
)
