"""A child process that never outlives its parent."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from intent.dev.services import launch
from intent.dev.services.account import Account
from intent.dev.services.files import open_log
from intent.errors import ConfigurationError, IntentError

__all__ = ["ManagedProcess", "ServiceFailed", "launched"]

_POLL = 0.02
_UMASK = 0o077
"""What it creates, its owner alone reads."""


class ServiceFailed(IntentError):
    """A service did not start or ended by itself; the message carries its last log line."""


def launched(
    command: Sequence[str], account: Account | None = None, stop_signal: signal.Signals = signal.SIGTERM
) -> list[str]:
    """Return a command line that runs a program as another user and ends it with this process.

    To the kernel, the thread that starts the program is its parent: start it from a thread that
    lives as long as the program should.

    Raises:
        ConfigurationError: This process is not root, so it may not change the user.
        ServiceFailed: There is no such program.
    """
    if account is not None and os.geteuid() != 0:
        raise ConfigurationError(f"only root can run a process as {account.name}")
    program = shutil.which(command[0])
    if program is None:
        raise ServiceFailed(f"the program {command[0]} is not installed")
    user = "-" if account is None else f"{account.uid}:{account.gid}{':enter' if account.enters else ''}"
    launcher = [sys.executable, "-I", "-S", launch.__file__, str(os.getpid()), str(int(stop_signal)), user]
    return [*launcher, program, *command[1:]]


class ManagedProcess:
    """A child process with a log file, in a process group of its own.

    Ctrl-C on the terminal does not reach it; whoever started it decides when it stops.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        *,
        environment: Mapping[str, str] | None = None,
        account: Account | None = None,
        folder: Path | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        grace: float = 15.0,
    ) -> None:
        """Describe the process; `start` starts it.

        Args:
            name: What a person calls it.
            command: The program and its arguments.
            log: The file to which its output is appended.
            environment: Its environment; None: this process's.
            account: The user account under which it runs; None: this process's.
            folder: Its working folder; None: this process's.
            stop_signal: The signal that asks it to stop.
            grace: Seconds after which SIGKILL follows.
        """
        self.name = name
        self.log = log
        self._command = list(command)
        self._environment = environment
        self._account = account
        self._folder = folder
        self._stop_signal = stop_signal
        self._grace = grace
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process's id while it runs, else None."""
        return self._process.pid if self._process is not None and self.alive else None

    @property
    def alive(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """The exit code once it has ended (negative: the signal), else None."""
        return None if self._process is None else self._process.poll()

    def start(self) -> None:
        """Start the process.

        Raises:
            ServiceFailed: It already runs, or its program cannot be started.
            ConfigurationError: Its log is a link, or belongs to another user.
        """
        if self.alive:
            raise ServiceFailed(f"{self.name} already runs, with pid {self.pid}")
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with open_log(self.log) as out:
            try:
                self._process = subprocess.Popen(  # noqa: S603 - the command is our own
                    launched(self._command, self._account, self._stop_signal),
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    cwd=self._folder,
                    env=None if self._environment is None else dict(self._environment),
                    start_new_session=True,
                    umask=_UMASK,
                )
            except OSError as error:
                raise ServiceFailed(f"{self.name} cannot be started: {error}") from None

    def wait_until(self, ready: Callable[[], bool], timeout: float) -> None:
        """Wait until the process is ready.

        Raises:
            ServiceFailed: It ended, or was not ready within `timeout` seconds.
        """
        end = time.monotonic() + timeout
        while not ready():
            if not self.alive:
                raise ServiceFailed(f"{self.name} did not start: {self.last_log_line()} (see {self.log})")
            if time.monotonic() > end:
                self.stop()
                raise ServiceFailed(
                    f"{self.name} was not ready within {timeout:.0f} seconds: "
                    f"{self.last_log_line()} (see {self.log})"
                )
            time.sleep(_POLL)

    def stop(self) -> None:
        """Ask the process to stop and wait until it has ended; kill it after the grace period."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(self._stop_signal)
        try:
            self._process.wait(self._grace)
        except subprocess.TimeoutExpired:
            self.kill()

    def wait_for_end(self, timeout: float) -> None:
        """Wait until the process has ended by itself.

        Raises:
            ServiceFailed: It did not end within `timeout` seconds.
        """
        if self._process is None:
            return
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise ServiceFailed(f"{self.name} did not end within {timeout:.0f} seconds") from None

    def ask_to_stop(self) -> None:
        """Send the stop signal without waiting; `stop` waits."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(self._stop_signal)

    def kill(self) -> None:
        """Kill the process at once and wait until it is gone."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def last_log_line(self) -> str:
        """Return the last line of the log that is not blank."""
        try:
            lines = self.log.read_text(errors="replace")[-4096:].splitlines()
        except OSError:
            lines = []
        written = [line.strip() for line in lines if line.strip()]
        return written[-1] if written else "it logged nothing"
