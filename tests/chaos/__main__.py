"""Kill and restart everything under load, again and again, and check the invariants once it is quiet.

There are three storms. In `commands`, many callers place and change orders in one context: every command
has one effect and its first answer. In `orders`, orders of several tenants go through all four
contexts, with declined cards, too little stock, parcels that come back and customers who change
their minds: each order is completed, paid once and sent once, or cancelled, with nothing charged
and nothing held; no saga is left, logs have no gaps, read models equal a rebuild. In `sagas`, the
PostgreSQL of one context refuses to write for longer than a saga may be held up before it is stuck: no
saga compensates, and all complete once it writes again.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

from intent.dev.platform import LocalPlatform
from rich.console import Console

from .orders import OrderStorm, Result, plan_of, running
from .outages import outages_planned, victims
from .read_only import PARKS_SOON, ReadOnlyStorm, plan_without_trouble, read_only_of
from .storm import Storm

_PROBLEMS_SHOWN = 40


def main() -> int:
    """Return 0 when everything holds, 1 when not."""
    arguments = _arguments()
    console = Console()
    storms = [arguments.only] if arguments.only else ["commands", "orders", "sagas"]
    try:
        held = [asyncio.run(_kept(name, arguments, console)) for name in storms]
    except KeyboardInterrupt:
        return 130
    return 0 if all(held) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make chaos ARGS=…", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=["commands", "orders", "sagas"], help="run one storm; default: all")
    parser.add_argument("--seed", type=int, default=1, help="seed of the random choices (1)")
    commands = parser.add_argument_group("the storm of commands")
    commands.add_argument("--rounds", type=_positive, default=12, help="number of kills and restarts (12)")
    commands.add_argument("--callers", type=_positive, default=32, help="number of callers (32)")
    orders = parser.add_argument_group("the storm of orders")
    orders.add_argument("--orders", type=_positive, default=400, help="number of orders (400)")
    orders.add_argument("--tenants", type=_positive, default=4, help="number of tenants (4)")
    orders.add_argument("--seconds", type=_positive, default=120, help="duration in seconds (120)")
    orders.add_argument("--kills", type=_positive, default=36, help="number of kills (36)")
    sagas = parser.add_argument_group("the storm of sagas")
    sagas.add_argument("--held-orders", type=_positive, default=60, help="number of orders (60)")
    sagas.add_argument("--held-seconds", type=_positive, default=60, help="seconds without writes (60)")
    return parser.parse_args()


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} must be a whole number from 1")
    return int(text)


async def _kept(name: str, arguments: argparse.Namespace, console: Console) -> bool:
    """Run a storm in a folder that is kept when something does not hold."""
    folder = Path(tempfile.mkdtemp(prefix=f"intent-chaos-{name}-"))
    console.print(f"[bold]the storm of {name}[/bold], seed {arguments.seed}", highlight=False)
    blow = {"commands": _commands, "orders": _orders, "sagas": _sagas}[name]
    held = False
    try:
        held = await blow(arguments, console, folder)
    finally:
        if held:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            console.print(f"logs and data are kept in {folder}", highlight=False, soft_wrap=True)
    return held


async def _commands(arguments: argparse.Namespace, console: Console, folder: Path) -> bool:
    with LocalPlatform(folder=folder) as platform:
        await platform.prepare("orders")
        with platform.service("orders", log_level="warning") as service:
            storm = Storm(platform, service, seed=arguments.seed, callers=arguments.callers)
            kinds = [
                service.kill_and_start,
                storm.restart_postgres,
                storm.kill_postgres,
                storm.restart_temporal,
            ]
            disruptions = [storm.random.choice(kinds) for _ in range(arguments.rounds)]
            console.print(", ".join(kind.__name__ for kind in disruptions), highlight=False)
            with console.status("storming"):
                await storm.blow(disruptions, pause=3.0)
            with console.status("checking what must hold"):
                await storm.check()
            console.print(
                f"{len(storm.sent):,} commands: each has one effect and its first answer, the log is "
                f"gapless, read models equal a rebuild, nothing is stuck; slowest answer "
                f"{storm.slowest_after_restart():.1f} s after a restart"
            )
    return True


async def _orders(arguments: argparse.Namespace, console: Console, folder: Path) -> bool:
    seed = arguments.seed
    plan = plan_of(seed, arguments.orders, arguments.tenants)
    with console.status("starting") as status, LocalPlatform(folder=folder) as platform:
        async with running(platform) as services:
            everything = victims(platform, services)
            outages = outages_planned(sorted(everything), seed, arguments.seconds, arguments.kills)
            for name, own in outages.items():
                moments = ", ".join(f"{outage.moment:.0f} s" for outage in own)
                console.print(f"  {name} is killed after {moments or '—'}", highlight=False)
            storm = OrderStorm(
                platform, services, plan, arguments.seconds, arguments.kills, seed, status.update
            )
            result = await storm.blow()
    _show(result, console)
    return not result.problems


async def _sagas(arguments: argparse.Namespace, console: Console, folder: Path) -> bool:
    seed, seconds = arguments.seed, arguments.held_seconds
    plan = plan_without_trouble(seed, arguments.held_orders, arguments.tenants)
    with console.status("starting") as status, LocalPlatform(folder=folder) as platform:
        async with running(platform, PARKS_SOON) as services:
            console.print(f"  {read_only_of(platform, seed).name} ends for {seconds} s", highlight=False)
            storm = ReadOnlyStorm(platform, services, plan, seconds, 1, seed, status.update)
            result = await storm.blow()
    console.print(f"{len(storm.held_up)} sagas were stuck for a while, and none of them compensated")
    _show(result, console)
    return not result.problems


def _show(result: Result, console: Console) -> None:
    outcomes = ", ".join(f"{number} {outcome.value}" for outcome, number in result.outcomes.most_common())
    console.print(f"{result.outcomes.total():,} orders: {outcomes}", highlight=False, soft_wrap=True)
    console.print(
        f"{result.kills} kills, {result.sagas:,} sagas, {result.events:,} events; "
        f"quiet {result.quiet_after:.0f} s after everything ran again",
        highlight=False,
    )
    if result.starts_failed:
        console.print(
            f"{len(result.starts_failed)} times a process could not start at first, the last time: "
            f"{result.starts_failed[-1]}",
            highlight=False,
            soft_wrap=True,
        )
    for problem in result.problems[:_PROBLEMS_SHOWN]:
        console.print(problem, style="red", highlight=False, soft_wrap=True)
    if len(result.problems) > _PROBLEMS_SHOWN:
        console.print(f"and {len(result.problems) - _PROBLEMS_SHOWN} more", style="red")
    if not result.problems:
        console.print(
            "every order is paid once and sent once, or costs nothing and holds nothing; no saga is left, "
            "logs are gapless, read models equal a rebuild"
        )


if __name__ == "__main__":
    sys.exit(main())
