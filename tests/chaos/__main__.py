"""``python -m tests.chaos [--seed N] [--rounds N]``: a long storm, as ``make chaos`` runs it."""

from __future__ import annotations

import argparse
import asyncio

from intent.runtime.platform import LocalPlatform
from rich.console import Console

from .storm import Storm


async def run(seed: int, rounds: int, callers: int) -> None:
    """Runs one storm and checks what must hold."""
    console = Console()
    with LocalPlatform() as platform:
        await platform.prepare("orders")
        with platform.service("orders", log_level="warning") as service:
            storm = Storm(platform, service, seed=seed, callers=callers)
            kinds = [
                service.kill_and_start,
                storm.restart_postgres,
                storm.kill_postgres,
                storm.restart_temporal,
            ]
            disruptions = [storm.random.choice(kinds) for _ in range(rounds)]
            names = ", ".join(kind.__name__ for kind in disruptions)
            console.print(f"seed {seed}: {names}")
            with console.status("storming"):
                await storm.blow(disruptions, pause=3.0)
            with console.status("checking what must hold"):
                await storm.check()
            console.print(
                f"{len(storm.sent):,} commands: each has one effect and its first answer, the log is "
                f"gapless, read models equal a rebuild, nothing is stuck; slowest answer "
                f"{storm.slowest_after_restart():.1f} s after a restart"
            )


def main() -> None:
    """Reads the arguments and runs."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="repeats a storm (default 1)")
    parser.add_argument("--rounds", type=int, default=12, help="how many kills and restarts (default 12)")
    parser.add_argument("--callers", type=int, default=32, help="how many callers (default 32)")
    arguments = parser.parse_args()
    asyncio.run(run(arguments.seed, arguments.rounds, arguments.callers))


if __name__ == "__main__":
    main()
