"""Tokens that a command prints."""

from __future__ import annotations

import asyncio
import shlex
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from intent.client.tokens.source import FetchedToken, TokenSource, unavailable
from intent.errors import ConfigurationError, Unauthenticated, Unavailable
from intent.escaping import escaped

__all__ = ["TokenCommand"]

_SECONDS: Final = 30.0
_SHOWN: Final = 300


class TokenCommand(TokenSource):
    """The token that a command prints, which runs again before that expires.

    Args:
        command: The program and its arguments; a string is split as a shell does. No shell runs it.
        seconds: How long it may take.
        patient: Whether calls wait and try again when it fails; otherwise they fail at once, as somebody
            at a terminal expects.

    Raises:
        ConfigurationError: The command is empty, or its quotes do not match.
    """

    def __init__(
        self, command: str | Sequence[str], *, seconds: float = _SECONDS, patient: bool = True
    ) -> None:
        try:
            self._command = shlex.split(command) if isinstance(command, str) else list(command)
        except ValueError as error:
            raise ConfigurationError(f"the command for tokens cannot be split: {error}") from None
        if not self._command:
            raise ConfigurationError("the command for tokens is empty; give a program that prints one")
        super().__init__(f"the command {self._command[0]}")
        self._seconds = seconds
        self._patient = patient

    async def fetch(self) -> FetchedToken:
        """Run the command."""
        try:
            return await self._printed()
        except Unavailable as error:
            if self._patient:
                raise
            raise Unauthenticated("TOKEN_REFUSED", error.message) from None

    async def _printed(self) -> FetchedToken:
        name = self._command[0]
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command, stdin=DEVNULL, stdout=PIPE, stderr=PIPE
            )
        except (OSError, ValueError) as error:
            raise unavailable(f"the command {name} cannot be run: {error}") from None
        try:
            async with asyncio.timeout(self._seconds):
                printed, complaint = await process.communicate()
        except TimeoutError:
            raise unavailable(f"the command {name} took longer than {self._seconds:g} s") from None
        finally:
            with suppress(ProcessLookupError):
                if process.returncode is None:
                    process.kill()
        if process.returncode:
            # What it printed may be a token; what it complained of is for people.
            said = escaped(complaint.decode(errors="replace").strip()[-_SHOWN:])
            raise unavailable(f"the command {name} ended with {process.returncode}: {said}")
        return FetchedToken(printed.decode(errors="replace"))
