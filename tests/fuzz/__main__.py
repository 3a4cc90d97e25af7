"""Send what nobody expects to everything that takes something from others, and see that it bears it.

Inputs come in rounds, each of which has a seed. No process crashes, no call is answered with INTERNAL or not
at all, nothing is raised but what is documented, and memory does not grow by more than a tenth. An input that
fails is made small, and kept as a file, which --repeat sends again.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Final

from rich.console import Console

from ..chaos.storms.kind import positive
from .campaign import Campaign
from .rounds import kept
from .surfaces import SURFACES
from .target import target

_FOLDER: Final = Path(__file__).parents[2] / "build" / "fuzz"


def main() -> int:
    """Return 0 when everything holds, 1 when not."""
    options = _options()
    again = kept(options.repeat) if options.repeat else None
    names = [again[0]] if again else (options.only or list(SURFACES))
    surfaces = [SURFACES[name] for name in names]
    say = partial(Console().print, highlight=False, soft_wrap=True, markup=False)
    with ExitStack() as stack:
        asked = None
        if any(surface.calls for surface in surfaces):
            folder = Path(tempfile.mkdtemp(prefix="intent-fuzz-"))
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            say(f"starting {options.context} in {folder}")
            asked = stack.enter_context(target(options.context, folder))
        campaign = Campaign(options.context, asked, _FOLDER, say)
        if again:
            return campaign.repeat(surfaces[0], again[1])
        until = time.monotonic() + options.minutes * 60 if options.inputs is None else None
        return campaign.run(surfaces, seed=options.seed, inputs=options.inputs, until=until)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make fuzz ARGS=…",
        description=__doc__,
        epilog="Surfaces: " + " ".join(f"{each.name}: {each.about}" for each in SURFACES.values()),
    )
    parser.add_argument(
        "--only", action="append", choices=sorted(SURFACES), help="this surface; may be repeated"
    )
    parser.add_argument("--context", default="orders", help="the context that is called (orders)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the first round; others count on (1)")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=positive, default=60, help="how long, surfaces in turn (60)")
    length.add_argument("--inputs", type=positive, help="instead: how many inputs in all, at least")
    parser.add_argument("--repeat", type=Path, metavar="FILE", help="send the inputs of a file again")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
