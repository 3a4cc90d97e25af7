"""Supervision of a context's process: restarts, and its log."""

from __future__ import annotations

import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from intent.dev.services import ManagedProcess

__all__ = ["LogTail", "SupervisedContext"]

_START_TIMEOUT: Final = 60.0
_STEADY: Final = 10.0
_LONGEST_WAIT: Final = 10.0


class LogTail:
    """The lines that are appended to a log file from now on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = path.stat().st_size if path.exists() else 0
        self._rest = ""

    def lines(self) -> list[str]:
        """Return the lines that were completed since the last call."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                new = file.read()
        except FileNotFoundError:
            return []
        self._offset += len(new)
        *whole, self._rest = (self._rest + new.decode(errors="replace")).split("\n")
        return whole


class SupervisedContext:
    """A process of one context that is restarted when it ends by itself.

    Attributes:
        name: The process's name.
        log: The lines that it writes.
    """

    def __init__(
        self, name: str, context: str, log: Path, environment: Mapping[str, str], ready_url: str
    ) -> None:
        """Describe the process.

        Args:
            name: The process's name.
            context: The context's name.
            log: The file that takes its log.
            environment: Its settings, as variables.
            ready_url: The URL of its readiness probe.
        """
        self.name = name
        self._ready_url = ready_url
        self._process = ManagedProcess(
            f"the context {name}",
            [sys.executable, "-m", "intent.cli", "serve", context],
            log,
            environment={**os.environ, **environment},
            grace=30.0,
        )
        self.log = LogTail(log)
        self._started = 0.0
        self._failures = 0
        self._retry_at: float | None = None

    @property
    def pid(self) -> int | None:
        """The process's id while it runs, else None."""
        return self._process.pid

    def start(self) -> None:
        """Start the process, without waiting until it is ready."""
        self._started = time.monotonic()
        self._retry_at = None
        self._process.start()

    def wait_until_ready(self) -> None:
        """Wait until the process serves.

        Raises:
            ServiceFailed: It ended or did not become ready; the message has its last log line.
        """
        self._process.wait_until(self._ready, _START_TIMEOUT)

    def keep_running(self) -> str:
        """Restart the process when it has ended, with growing pauses; return news, or an empty string."""
        if self._process.alive:
            return ""
        now = time.monotonic()
        if self._retry_at is None:
            return self._ended(now)
        if now < self._retry_at:
            return ""
        self.start()
        return "restarting"

    def ask_to_stop(self) -> None:
        """Ask the process to finish its work and end."""
        self._process.ask_to_stop()

    def stop(self) -> None:
        """Stop the process and wait until it has ended."""
        self._process.stop()

    def _ended(self, now: float) -> str:
        self._failures = 0 if now - self._started > _STEADY else self._failures + 1
        wait = min(_LONGEST_WAIT, 0.5 * 2**self._failures)
        self._retry_at = now + wait
        code = self._process.exit_code
        cause = f"by signal {-code}" if code is not None and code < 0 else f"with exit code {code}"
        return f"ended {cause}; restarting in {wait:g} s"

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(self._ready_url, timeout=2) as answer:  # noqa: S310 - our own process
                return bool(answer.status == 200)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False
