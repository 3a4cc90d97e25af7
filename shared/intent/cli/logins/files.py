"""A login and the file that keeps it, which its owner alone reads."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from typing import Final

from intent.cli.user_files import DEFAULT_PROFILE, user_folder
from intent.errors import ConfigurationError

__all__ = ["Login", "LoginFile"]

_EARLY: Final = 30.0
"""The most seconds before its end at which a token counts as over."""
_SHARE: Final = 0.25
"""The share of its life, at its end, in which it does."""


@dataclass(frozen=True, slots=True)
class Login:
    """What an issuer has granted, and how to get more.

    Attributes:
        issuer: The issuer.
        client_id: The program that it granted it to.
        access_token: The token.
        seconds: For how long it counts from when it was granted; 0: the issuer does not say.
        granted: When that was, in seconds since 1970.
        refresh_token: The token for the next one; empty: there is none.
        secret_file: The file with the program's secret; empty: it has none.
        own: Whether the program itself is logged in, and nobody who uses it.
        scope: The scopes that were asked for.
        audience: The audience that was asked for.
    """

    issuer: str
    client_id: str
    access_token: str = field(repr=False)
    seconds: float = 0.0
    granted: float = 0.0
    refresh_token: str = field(default="", repr=False)
    secret_file: str = ""
    own: bool = False
    scope: str = ""
    audience: str = ""

    @property
    def left(self) -> float | None:
        """Seconds for which the token still counts; None: the issuer does not say."""
        return self.granted + self.seconds - time.time() if self.seconds else None

    @property
    def counts(self) -> bool:
        """Whether the token counts long enough for another call."""
        return self.left is None or self.left > min(_EARLY, _SHARE * self.seconds)


class LoginFile:
    """The file of one login.

    Args:
        profile: The profile to which it belongs.

    Attributes:
        path: The file.
        command: The command that logs in again.
    """

    def __init__(self, profile: str) -> None:
        self.path = user_folder("XDG_STATE_HOME", ".local/state") / "logins" / f"{profile}.json"
        self.command = f"intent login{'' if profile == DEFAULT_PROFILE else f' --profile {profile}'}"

    def read(self) -> Login | None:
        """Return the login; None: there is none.

        Raises:
            ConfigurationError: It is a link, another user's, or others may read it.
        """
        try:
            self.path.lstat()
        except FileNotFoundError:
            return None
        # It loads all of `intent dev`, and most commands find no login.
        from intent.dev.services.files import read_secret

        text = read_secret(self.path, closed=True)
        if text is None:
            return None
        try:
            return Login(**json.loads(text))
        except (ValueError, TypeError):
            raise ConfigurationError(f"{self.path} holds no login: remove it, and log in again") from None

    def write(self, login: Login) -> None:
        """Keep a login in place of the one that is there.

        Raises:
            ConfigurationError: Its folder belongs to another user.
        """
        from intent.dev.services.files import write_secret

        self._prepare()
        new = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        write_secret(new, json.dumps(asdict(login), indent=2) + "\n")
        new.replace(self.path)

    def remove(self) -> None:
        """Forget the login."""
        self.path.unlink(missing_ok=True)

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Keep other processes from renewing meanwhile: a refresh token may count once only."""
        from intent.dev.services.files import open_log

        self._prepare()
        with open_log(self.path.with_suffix(".lock")) as lock:
            await asyncio.to_thread(fcntl.flock, lock, fcntl.LOCK_EX)
            yield

    def _prepare(self) -> None:
        from intent.dev.services.files import private_folder

        private_folder(self.path.parent)
