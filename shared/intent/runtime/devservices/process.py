"""One process that belongs to this one: it is stopped by its pid and never outlives its parent."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from intent.errors import ConfigurationError, IntentError

__all__ = ["Account", "ManagedProcess", "ServiceFailed", "as_user"]

_PR_SET_PDEATHSIG = 1
_POLL = 0.02
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class ServiceFailed(IntentError):
    """A service did not start or ended by itself; the message carries its last log line."""


@dataclass(frozen=True, slots=True)
class Account:
    """The user as whom a process runs.

    Attributes:
        name: The user's name.
        uid: The user's id.
        gid: The id of the user's group.
    """

    name: str
    uid: int
    gid: int


def _die_with_parent(parent: int, number: int) -> Callable[[], None]:
    """Returns what a child runs before exec, so that its parent's death ends it.

    Set after the change of user, which would clear it. The kernel counts the thread that
    started the child as its parent: start children from a thread that stays.
    """

    def prepare() -> None:
        if _LIBC is not None:
            _LIBC.prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return prepare


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
        """Describes the process; `start` starts it.

        Args:
            name: What a person calls it.
            command: The program and its arguments.
            log: The file that takes its output, appended.
            environment: Its environment; None: this process's.
            account: The user as whom it runs; None: this process's user.
            folder: Its working folder; None: this process's.
            stop_signal: The signal that asks it to stop.
            grace: Seconds until SIGKILL follows.
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
        """Starts the process.

        Raises:
            ServiceFailed: It runs already, or its program cannot be started.
        """
        if self.alive:
            raise ServiceFailed(f"{self.name} runs already, with pid {self.pid}")
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as out:
            try:
                self._process = subprocess.Popen(  # noqa: S603 - the command is our own
                    self._command,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    cwd=self._folder,
                    env=None if self._environment is None else dict(self._environment),
                    preexec_fn=_die_with_parent(os.getpid(), self._stop_signal),
                    start_new_session=True,
                    **as_user(self._account),
                )
            except OSError as error:
                raise ServiceFailed(f"{self.name} cannot be started: {error}") from None

    def wait_until(self, ready: Callable[[], bool], timeout: float) -> None:
        """Waits until the process is ready.

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
        """Asks the process to stop and waits; after the grace period it is killed."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(self._stop_signal)
        try:
            self._process.wait(self._grace)
        except subprocess.TimeoutExpired:
            self.kill()

    def wait_for_end(self, timeout: float) -> None:
        """Waits until the process has ended by itself.

        Raises:
            ServiceFailed: It has not within `timeout` seconds.
        """
        if self._process is None:
            return
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise ServiceFailed(f"{self.name} did not end within {timeout:.0f} seconds") from None

    def ask_to_stop(self) -> None:
        """Sends the stop signal and does not wait; `stop` waits."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(self._stop_signal)

    def kill(self) -> None:
        """Kills the process at once and waits until it is gone."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def last_log_line(self) -> str:
        """Returns the last line of the log that says something."""
        try:
            lines = self.log.read_text(errors="replace")[-4096:].splitlines()
        except OSError:
            lines = []
        said = [line.strip() for line in lines if line.strip()]
        return said[-1] if said else "it said nothing"


class _User(TypedDict, total=False):
    user: int
    group: int
    extra_groups: Sequence[int]


def as_user(account: Account | None) -> _User:
    """Returns the arguments by which `subprocess` runs a program as another user.

    Raises:
        ConfigurationError: This process is not root, so it may not.
    """
    if account is None:
        return {}
    if os.geteuid() != 0:
        raise ConfigurationError(f"only root can run a process as {account.name}")
    return _User(user=account.uid, group=account.gid, extra_groups=[])
