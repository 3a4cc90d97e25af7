"""Let something go wrong under load, again and again, and check after each round what must hold.

A round has a seed, by which it can be repeated alone: --only NAME --seed SEED --rounds 1. When something
does not hold, the seed, the fault and the folder of logs and data are printed, and further rounds run on
machinery that is started afresh.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence

from rich.console import Console

from .rounds import Rounds, shared_out
from .storms import STORMS
from .storms.kind import Kind, positive


def main() -> int:
    """Return 0 when everything holds, 1 when not."""
    options = _options()
    kinds = [kind for kind in STORMS.values() if options.only in (None, kind.name)]
    try:
        return asyncio.run(_run(options, kinds))
    except KeyboardInterrupt:
        return 130


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make chaos ARGS=…", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=sorted(STORMS), help="run one storm; default: all")
    parser.add_argument(
        "--seed", type=int, default=1, help="seed of the first round; later ones count on (1)"
    )
    parser.add_argument(
        "--rounds", type=positive, help="number of rounds in all; default: of each storm its share of 500"
    )
    for kind in STORMS.values():
        about = f"{kind.about} {kind.share} of 500 rounds."
        kind.arguments(parser.add_argument_group(f"the storm of {kind.name}", about))
    return parser.parse_args()


async def _run(options: argparse.Namespace, kinds: Sequence[Kind]) -> int:
    console = Console()
    storms = [Rounds(kind, options, console) for kind in kinds]
    numbers = shared_out(options.rounds or sum(kind.share for kind in kinds), kinds)
    for storm in storms:
        await storm.run(numbers[storm.kind.name])
    for storm in storms:
        failed = f"; failed: seeds {', '.join(map(str, storm.failed))}" if storm.failed else ""
        console.print(f"{storm.kind.name}: {storm.held} rounds held{failed}", highlight=False, soft_wrap=True)
    return 1 if any(storm.failed for storm in storms) else 0


if __name__ == "__main__":
    sys.exit(main())
