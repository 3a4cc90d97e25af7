"""``python -m demo``: place orders on a running `make dev` and check that everything adds up."""

from __future__ import annotations

import argparse
import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path

from intent.dev.state import dev_folder
from intent.errors import ConfigurationError, IntentError
from rich.console import Console
from rich.progress import Progress

from demo.books import Books
from demo.plan import planned
from demo.run import Run
from demo.show import progress, show_books
from demo.world import World


def main() -> int:
    """Return 0 when everything adds up, 1 when not, 3 when `make dev` does not run, 4 on other errors."""
    arguments = _arguments()
    console = Console()
    try:
        return asyncio.run(_demo(arguments, console))
    except KeyboardInterrupt:
        return 130
    except IntentError as error:
        misconfigured = isinstance(error, ConfigurationError)
        message = str(error) if misconfigured else f"a context does not answer as it should: {error}"
        console.print(message, style="red", highlight=False, soft_wrap=True)
        return 3 if misconfigured else 4


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make demo ARGS=…", description=__doc__)
    parser.add_argument("--orders", type=_positive, default=300, help="number of orders (300)")
    parser.add_argument("--tenants", type=_positive, default=3, help="number of tenants (3)")
    parser.add_argument("--at-once", type=_positive, default=24, help="number of orders placed at once (24)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the random choices (1)")
    parser.add_argument("--data", type=Path, help="data folder of make dev, if not the default")
    return parser.parse_args()


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} must be a whole number from 1")
    return int(text)


async def _demo(arguments: argparse.Namespace, console: Console) -> int:
    # Each run has a name of its own, so that the demo can run again on the same data.
    name = datetime.now(UTC).strftime("%y%m%d-%H%M%S")
    plan = planned(name, tenants=arguments.tenants, orders=arguments.orders, seed=arguments.seed)
    async with World.running(arguments.data or dev_folder()) as world:
        run = Run(world, plan)
        await run.stock_up()
        with progress(console) as bars:
            books = await _followed(run, bars, arguments.at_once)
    right = show_books(console, books, run.late)
    first = plan.wishes[0]
    query = f'intent query GetOrder \'{{"order_id": "{first.command.order_id}"}}\' -t {first.tenant}'
    console.print(f"See one of them: {query}", highlight=False, soft_wrap=True)
    return 0 if right else 1


async def _followed(run: Run, bars: Progress, at_once: int) -> list[Books]:
    """Place the orders and follow them to their end."""
    placed = bars.add_task("placed", total=len(run.plan.wishes))
    ended = bars.add_task("at their end", total=len(run.plan.wishes))
    run.on_placed = lambda: bars.advance(placed)
    placing = asyncio.create_task(run.place(at_once))
    number = 0
    async for number in run.ended():
        bars.update(ended, completed=number)
        if placing.done():
            placing.result()
    await placing
    settling = bars.add_task("payments and stock settle", total=None)
    books = await run.settled(None if number == len(run.plan.wishes) else 0)
    bars.remove_task(settling)
    return books


if __name__ == "__main__":
    sys.exit(main())
