"""Publish the addresses of Tilt's port-forwards to the command line while this runs.

It writes the same state as `intent dev`, so that with INTENT_DEV_DATA=.tilt every command finds the contexts
that Tilt runs: ``INTENT_DEV_DATA=.tilt intent events --follow``.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from pathlib import Path

from intent.dev import ContextAddress, DevState

HOST = "127.0.0.1"


def main() -> int:
    """Write the addresses, wait for a signal to end, and remove them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the folder")
    parser.add_argument("contexts", nargs="+", metavar="CONTEXT=GRPC:METRICS", type=_address)
    arguments = parser.parse_args()
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    state = DevState(
        pid=os.getpid(),
        temporal=f"{HOST}:7433",
        temporal_ui=f"http://{HOST}:7480",
        postgres=f"postgresql://postgres:postgres@{HOST}:7432/intent",
        contexts=dict(arguments.contexts),
    )
    arguments.data.mkdir(parents=True, exist_ok=True)
    state.write(arguments.data)
    sys.stdout.write(f"INTENT_DEV_DATA={arguments.data} makes the command line use these contexts\n")
    sys.stdout.flush()
    ended.wait()
    DevState.remove(arguments.data)
    return 0


def _address(text: str) -> tuple[str, ContextAddress]:
    name, _, numbers = text.partition("=")
    grpc, _, metrics = numbers.partition(":")
    return name, ContextAddress(f"{HOST}:{int(grpc)}", f"http://{HOST}:{int(metrics)}/metrics")


if __name__ == "__main__":
    sys.exit(main())
