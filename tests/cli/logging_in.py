"""Log in at an issuer as a person does: the command waits while somebody confirms it in a browser."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .running import Done, environment, intent
from .running import process as run_process

_PATIENCE = 120


@dataclass(frozen=True)
class Person:
    """Somebody with a home of their own.

    Attributes:
        home: Where their profiles and logins are.
        variables: Their variables.
    """

    home: Path
    variables: Mapping[str, str]

    @classmethod
    def at(cls, home: Path, **variables: str) -> Person:
        folders = {"XDG_CONFIG_HOME": str(home / "config"), "XDG_STATE_HOME": str(home / "state")}
        # Nothing of this machine's own `intent dev`.
        return cls(home, {"INTENT_DEV_DATA": str(home / "none"), **folders, **variables})

    @property
    def profiles(self) -> Path:
        return self.home / "config" / "intent" / "profiles.toml"

    def login_file(self, profile: str = "default") -> Path:
        return self.home / "state" / "intent" / "logins" / f"{profile}.json"

    def login(self, profile: str = "default") -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.login_file(profile).read_text())
        return found

    def age(self, profile: str = "default") -> dict[str, Any]:
        """Have the login's token be of yesterday; return the login."""
        login = {**self.login(profile), "granted": 0.0}
        self.login_file(profile).write_text(json.dumps(login))
        return login

    def run(self, *arguments: str, **variables: str) -> Done:
        return intent(*arguments, env=environment(**{**self.variables, **variables}))

    def process(self, *arguments: str, **variables: str) -> Done:
        """Run a command as a process of its own."""
        return run_process(*arguments, env=environment(**{**self.variables, **variables}))

    @contextmanager
    def logging_in(self, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
        """Begin to log in; yield the process that waits, and what it shows."""
        command = [sys.executable, "-m", "intent.cli", "login", *arguments]
        env = environment(**self.variables)
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=env) as waiting:
            assert waiting.stderr is not None
            shown = ""
            try:
                while "Waiting" not in shown:
                    line = waiting.stderr.readline()
                    assert line, shown
                    shown += line
                yield waiting, shown
                waiting.wait(_PATIENCE)
            finally:
                waiting.kill()

    def ends(self, waiting: subprocess.Popen[str]) -> Done:
        """Wait for the end of a process that logs in."""
        _, err = waiting.communicate(timeout=_PATIENCE)
        return Done(waiting.returncode, "", err)
