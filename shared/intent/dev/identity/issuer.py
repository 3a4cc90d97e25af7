"""The issuer of tokens of `intent dev`: NanoIDP, an OpenID provider for development, as a process."""

from __future__ import annotations

import importlib.util
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from intent.dev.identity.configuration import USERS_FILE, write_configuration
from intent.dev.identity.users import ANY_TENANT_ROLE, AUDIENCE
from intent.dev.services import ManagedProcess
from intent.dev.services.files import private_folder
from intent.errors import ConfigurationError
from intent.process.sockets import LOOPBACK

__all__ = ["DevIssuer"]

_PACKAGE: Final = "nanoidp"
_START_TIMEOUT: Final = 60.0
_FOREIGN: Final = ("NANOIDP_", "MOCK_IDP_", "FLASK_", "WERKZEUG_")
"""Variables by which the package could be told something else."""


class DevIssuer:
    """The issuer, which listens on the loopback interface.

    Args:
        folder: The folder of its keys and users.
        port: Its port.
        log: Its log file.
        password: Returns a password for what is named; the same for the same name.

    Attributes:
        url: Its URL, which is its name as well.
    """

    def __init__(self, folder: Path, port: int, log: Path, password: Callable[[str], str]) -> None:
        self.url = f"http://{LOOPBACK}:{port}"
        self._folder = folder
        self._port = port
        self._password = password
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
        command = [sys.executable, "-m", _PACKAGE, "--config", str(folder), "--strict-config"]
        self._process = ManagedProcess(
            "the issuer of tokens", command, log, environment={**kept, "NANOIDP_CONFIG_DIR": str(folder)}
        )

    @property
    def users_file(self) -> Path:
        """The file with the users and their passwords."""
        return self._folder / USERS_FILE

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process.alive

    def start(self) -> None:
        """Start it, and wait until it answers.

        Raises:
            ConfigurationError: Its package is missing, or its folder is not this user's own.
            ServiceFailed: It ended or did not answer; the message has its last log line.
        """
        if importlib.util.find_spec(_PACKAGE) is None:
            raise ConfigurationError(
                f"the package {_PACKAGE}, which issues the tokens of `intent dev --identity token`, is "
                "missing: install intent[dev], or leave the option out"
            )
        private_folder(self._folder)
        private_folder(self._folder / "keys")
        write_configuration(self._folder, self.url, self._port, self._password)
        self._process.start()
        self._process.wait_until(self._ready, _START_TIMEOUT)

    def stop(self) -> None:
        """Stop it; whoever is logged in stays so when it starts again."""
        self._process.stop()

    def restart(self) -> None:
        """Start it again after it has ended."""
        self.stop()
        self.start()

    def settings(self) -> dict[str, Any]:
        """Return what ``INTENT_IDENTITY_ISSUERS`` says of it."""
        return {
            "issuer": self.url,
            "audience": AUDIENCE,
            # Whoever asks for a token may add claims to it, but neither of these.
            "tenants_claim": "attributes.tenants",
            "roles_claim": "roles",
            "any_tenant_role": ANY_TENANT_ROLE,
        }

    def _ready(self) -> bool:
        url = f"{self.url}/.well-known/jwks.json"
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - our own process
                return bool(answer.status == 200)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False
