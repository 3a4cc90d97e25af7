#!/usr/bin/env python3
"""The command `intent` in a container whose sources are changed while it runs.

It runs the real command. On SIGHUP, which Tilt sends when it has copied new sources, the process ends
gracefully and is started again; the container and the copied files stay. When the process then fails, this
waits for the next change, so that an unfinished edit costs nothing.
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
    """Runner of a command that restarts it on SIGHUP."""

    def __init__(self, command: list[str]) -> None:
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._changed = False
        self._ending = False
        signal.signal(signal.SIGHUP, self._reload)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._end)

    def run(self) -> int:
        """Run until the command ends by itself or by a signal; return its exit code."""
        code = self._once()
        while self._changed:
            self._changed = False
            self._say("restarts with the new sources")
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
        self._send(signal.SIGTERM)

    def _end(self, number: int, frame: FrameType | None) -> None:
        self._ending, self._changed = True, False
        self._send(number)

    def _send(self, number: int) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def _say(self, news: str) -> None:
        sys.stderr.write(f"== intent {news}\n")


if __name__ == "__main__":
    sys.exit(Reloader([COMMAND, *sys.argv[1:]]).run())
