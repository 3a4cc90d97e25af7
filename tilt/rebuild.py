"""Rebuild every projection of a running context, one after the other."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from intent.client import IntentClient
from intent.contracts import Registry
from intent.dev import DevState


def main() -> int:
    """Rebuild the projections; return 0 when all are rebuilt, 1 when the context does not run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, required=True, help="folder with the state of the running contexts"
    )
    parser.add_argument("context")
    arguments = parser.parse_args()
    state = DevState.read(arguments.data)
    if state is None or arguments.context not in state.contexts:
        sys.stderr.write(f"{arguments.context} does not run from {arguments.data}\n")
        return 1
    asyncio.run(_rebuild(state.contexts[arguments.context].target))
    return 0


async def _rebuild(target: str) -> None:
    async with IntentClient.connect(target, registry=Registry.load()) as client:
        for projection in (await client.projections.list()).projections:
            async for progress in client.projections.rebuild(projection.name):
                done = progress.position
            sys.stdout.write(f"{projection.name} is rebuilt up to position {done}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
