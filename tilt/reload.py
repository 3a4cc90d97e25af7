#!/usr/bin/env python3
"""The command `intent` in a container whose sources are changed while it runs.

It runs the real one. On SIGHUP, which Tilt sends when it has copied new sources, the process ends in order
and starts anew; the container and what was copied into it stay. A process that fails after that waits for
the next change, so that an unfinished edit costs nothing.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from types import FrameType

COMMAND = os.environ.get("INTENT_RELOADED", "/opt/intent/bin/intent")


class Reloader:
    """Runs a command, and runs it anew when told so."""

    def __init__(self, command: list[str]) -> None:
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._changed = False
        self._ending = False
        signal.signal(signal.SIGHUP, self._reload)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._end)

    def run(self) -> int:
        """Runs until the command ends by itself or is told to; returns its exit code."""
        code = self._once()
        while self._changed:
            self._changed = False
            self._say("starts with the new sources")
            code = self._once()
            if code and not self._changed and not self._ending:
                self._say(f"ended with exit code {code}; waits for the next change")
                while not self._changed and not self._ending:
                    time.sleep(0.1)
        return code

    def _once(self) -> int:
        self._process = subprocess.Popen(self._command)  # noqa: S603 - our own command
        if self._ending:
            self._process.terminate()
        code = self._process.wait()
        return code if code >= 0 else 128 - code

    def _reload(self, number: int, frame: FrameType | None) -> None:
        self._changed = not self._ending
        self._tell(signal.SIGTERM)

    def _end(self, number: int, frame: FrameType | None) -> None:
        self._ending, self._changed = True, False
        self._tell(number)

    def _tell(self, number: int) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def _say(self, news: str) -> None:
        sys.stderr.write(f"== intent {news}\n")


if __name__ == "__main__":
    sys.exit(Reloader([COMMAND, *sys.argv[1:]]).run())
