"""Tokens from a file that others write, such as the kubelet."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeAlias

from intent.client.tokens.source import FetchedToken, TokenSource, unavailable

__all__ = ["TokenFile", "read_secret"]

_MOST_BYTES: Final = 64 * 1024
_Version: TypeAlias = tuple[int, int, int, int]


class TokenFile(TokenSource):
    """The token in a file, which is read again when it changes and when its token has expired.

    Args:
        path: The file. It may be replaced, also through links.
        clock: Returns the time, in seconds since 1970.
    """

    def __init__(self, path: str | os.PathLike[str], *, clock: Callable[[], float] = time.time) -> None:
        super().__init__(f"the file {os.fspath(path)}", clock=clock)
        self._path = Path(path)
        self._read: _Version | None = None

    async def authorization(self) -> str:
        """Return the value for a call that begins now, from the file if that has changed."""
        if self._kept and self._version() not in (None, self._read):
            # What is wrong with it now is wrong for a moment only: it may be half written.
            await asyncio.wait([self._renewing()])
        return await super().authorization()

    async def fetch(self) -> FetchedToken:
        """Read the file."""
        # Before it is read: what changes while it is read is read again.
        self._read = self._version()
        return FetchedToken(await asyncio.to_thread(read_secret, self._path))

    def _version(self) -> _Version | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def read_secret(path: Path) -> str:
    """Return the text of a file with a secret, without the white space around it.

    Raises:
        Unavailable: It cannot be read; the message does not show what is in it.
    """
    try:
        with path.open("rb") as file:
            return file.read(_MOST_BYTES).decode().strip()
    except OSError as error:
        raise unavailable(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise unavailable(f"{path} is no text in UTF-8") from None
