"""Make a release: ``python -m release --help``."""

from __future__ import annotations

import sys

from release.options import options
from release.run import Stopped, run


def main() -> int:
    """Return 0 when the release was made, 1 when not."""
    release = options()
    try:
        run(release, lambda line: print(line, flush=True))
    except Stopped as why:
        print(why, file=sys.stderr)
        return 1
    print(f"would be written to {release.folder}" if release.dry_run else f"{release.folder} has it all")
    return 0


if __name__ == "__main__":
    sys.exit(main())
