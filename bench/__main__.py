"""``python -m bench [SCENARIO ...]``: run scenarios and report the results."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import uvloop
from intent.process.garbage_collection import relax_garbage_collection
from rich.console import Console

from bench import report
from bench.platform import CONTEXT, Platform
from bench.scenarios import commands, identity, rebuilds, sagas, signing, store, subscriptions

SCENARIOS = {
    **commands.SCENARIOS,
    **sagas.SCENARIOS,
    **store.SCENARIOS,
    **rebuilds.SCENARIOS,
    **subscriptions.SCENARIOS,
    **identity.SCENARIOS,
    **signing.SCENARIOS,
}


async def run(names: list[str], console: Console) -> dict[str, report.Figure]:
    """Run scenarios one after the other on one platform."""
    figures: dict[str, report.Figure] = {}
    with Platform() as platform:
        await platform.prepare(CONTEXT)
        for number, name in enumerate(names, 1):
            with console.status(f"{name} ({number} of {len(names)})"):
                figures[name] = await SCENARIOS[name](platform)
            console.print(f"{name}: {figures[name].value:,.4g} {figures[name].unit}")
    return figures


def main() -> int:
    """Run the scenarios of the command line; return 1 when one missed its bar, else 0."""
    parser = argparse.ArgumentParser(prog="make bench SCENARIO=…", description=__doc__)
    parser.add_argument("scenario", nargs="*", help=f"any of: {', '.join(SCENARIOS)}")
    parser.add_argument("--out", type=Path, default=Path("build/bench.json"))
    arguments = parser.parse_args()
    unknown = [name for name in arguments.scenario if name not in SCENARIOS]
    if unknown:
        parser.error(f"unknown scenario {', '.join(unknown)}; choose from {', '.join(SCENARIOS)}")
    console = Console()
    relax_garbage_collection()  # as every context process does
    figures = uvloop.run(run(arguments.scenario or list(SCENARIOS), console))
    report.show(figures, console)
    report.write(figures, arguments.out)
    console.print(f"written to {arguments.out}")
    return 0 if all(figure.held for figure in figures.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
