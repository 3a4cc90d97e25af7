"""The passwords of one development installation: random, and kept in its folder."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from intent.dev.services.files import read_secret, write_secret
from intent.errors import ConfigurationError

__all__ = ["DevPasswords", "renew_administrator"]

_FILE: Final = "secret"
_EARLIER: Final = "intent"
"""The administrator's password in installations of earlier releases."""


@dataclass(frozen=True, slots=True)
class DevPasswords:
    """The passwords of the roles of PostgreSQL.

    Attributes:
        secret: What they are made of; it stays in a file that its owner alone reads.
    """

    secret: str = field(repr=False)

    @classmethod
    def of(cls, folder: Path) -> DevPasswords:
        """Return those of the installation in a folder, which exists; the first call makes them."""
        kept, new = folder / _FILE, folder / f"{_FILE}.{os.getpid()}"
        if not kept.exists():
            write_secret(new, secrets.token_hex(32) + "\n")
            # Of several processes at once, one is first.
            with suppress(FileExistsError):
                os.link(new, kept)
            new.unlink()
        return cls((read_secret(kept) or "").strip())

    def for_role(self, role: str) -> str:
        """Return the password of a role; nobody learns another one's from it."""
        return hmac.new(self.secret.encode(), role.encode(), hashlib.sha256).hexdigest()[:32]


async def renew_administrator(dsn: str, password: str) -> None:
    """Give the administrator a password in place of the one of earlier releases, which is known.

    Args:
        dsn: The administrator's URL, with the password.
        password: The password.

    Raises:
        ConfigurationError: PostgreSQL takes neither.
    """
    import asyncpg

    from intent.store.migrations.verifiers import verifier_of

    try:
        await (await asyncpg.connect(dsn)).close()
        return
    except asyncpg.InvalidPasswordError:
        pass
    try:
        connection = await asyncpg.connect(dsn, password=_EARLIER)
    except asyncpg.InvalidPasswordError:
        raise ConfigurationError(
            f"PostgreSQL refuses the password that the file {_FILE!r} of the data folder gives: bring the "
            "file back, or remove the folder with all its data (make clean-data)"
        ) from None
    try:
        await connection.execute(f"alter role current_user password '{verifier_of(password)}'")
    finally:
        await connection.close()
