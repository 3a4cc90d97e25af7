"""The issuer of `intent dev`, NanoIDP, by itself: real device flow, renewal, client credentials."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from intent.dev.identity import DevIssuer
from intent.process.sockets import free_port

_PATIENCE = 60.0


class LocalIssuer:
    """The issuer, and somebody with a browser.

    Attributes:
        url: Its URL.
        folder: Its files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "issuer"
        self._issuer = DevIssuer(self.folder, free_port(), folder / "issuer.log", _password)
        self.url = self._issuer.url
        self.start, self.stop = self._issuer.start, self._issuer.stop
        self.settings = self._issuer.settings

    @property
    def secret_file(self) -> Path:
        """The secret of the client ``robot``."""
        return self.folder / "robot.secret"

    def confirm(self, shown: str, user: str, action: str = "authorize") -> str:
        """Do what a login shows, in a browser, as a user; return the page that answers."""
        return confirm(self.folder, shown, user, action)

    def post(self, path: str, form: dict[str, str], **options: Any) -> httpx.Response:
        return httpx.post(f"{self.url}{path}", data=form, timeout=_PATIENCE, trust_env=False, **options)

    def withdraw(self, refresh_token: str) -> None:
        """Renew a login no more."""
        form = {"token": refresh_token, "client_id": "intent-cli", "token_type_hint": "refresh_token"}
        self.post("/revoke", form).raise_for_status()


def confirm(folder: Path, shown: str, user: str, action: str = "authorize") -> str:
    """Log in on the page that a command shows.

    Args:
        folder: The issuer's files, with the passwords.
        shown: What the command printed.
        user: Who logs in.
        action: What they choose: ``authorize`` or ``deny``.
    """
    found = re.search(r"Open (\S+) in a browser and enter the code (\S+)", shown)
    assert found, shown
    users = json.loads((folder / "users.yaml").read_text())["users"]
    form = {"user_code": found[2], "username": user, "password": users[user]["password"], "action": action}
    return httpx.post(found[1], data=form, timeout=_PATIENCE, trust_env=False).raise_for_status().text


def _password(name: str) -> str:
    return f"pw-of-{name.replace(':', '-')}"


@contextmanager
def running_local_issuer(folder: Path) -> Iterator[LocalIssuer]:
    issuer = LocalIssuer(folder)
    issuer.start()
    try:
        yield issuer
    finally:
        issuer.stop()
