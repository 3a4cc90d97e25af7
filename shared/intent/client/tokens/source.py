"""A source of access tokens: it keeps the current one and renews it in time, one fetch at a time."""

from __future__ import annotations

import asyncio
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass
from typing import Final

from intent.client.tokens.reading import authorization_of, expiry_of
from intent.errors import CommandError, Unavailable

__all__ = ["FetchedToken", "TokenSource", "unavailable"]

_log: Final = logging.getLogger("intent.client")
_EARLY: Final = 60.0
"""The most seconds before its end at which a token is renewed."""
_SHARE: Final = 0.25
"""The share of its life, at its end, in which a token is renewed."""
_SHORTEST_LOOK: Final = 0.05
LOOK: Final = 30.0
"""Seconds between two looks for another token."""
_PAUSE: Final = 5.0
"""Seconds after a renewal that failed, while the token still counts."""


@dataclass(frozen=True, slots=True)
class FetchedToken:
    """A token as its source gave it.

    Attributes:
        text: The token.
        seconds: For how long it counts, where the source says so; otherwise the token's own ``exp`` does.
    """

    text: str
    seconds: float | None = None


class TokenSource(ABC):
    """Where access tokens come from; clients may share one.

    A token is kept and renewed in the background before it expires, and at once when it has, or when
    a context says so. At most one fetch is under way.

    Args:
        what: What the tokens come from, for messages.
        clock: Returns the time, in seconds since 1970.
    """

    renewable = True
    """Whether it may have another token later."""

    def __init__(self, what: str, *, clock: Callable[[], float] = time.time) -> None:
        self._what = what
        self._clock = clock
        self._kept = ""
        self._ends = self._renew_at = float("inf")
        self._trouble = ""
        self._fetching: asyncio.Task[None] | None = None

    @abstractmethod
    async def fetch(self) -> FetchedToken:
        """Return a token.

        Raises:
            CommandError: There is none: `Unavailable` for the moment, another one for good.
        """

    async def authorization(self) -> str:
        """Return the value of the metadata ``authorization`` for a call that begins now.

        Raises:
            CommandError: There is no token.
        """
        now = self._clock()
        if not self._kept or now >= self._ends:
            await self._renewed()
        elif now >= self._renew_at:
            self._renew_at = now + _PAUSE
            self._renewing()
        return self._kept

    async def after(self, expired: str) -> str:
        """Return another value than one of which a context says that its token has expired.

        It is the same where the source has no other one.

        Raises:
            CommandError: There is no token.
        """
        if self._kept == expired and self.renewable:
            self._ends = self._clock()
            await self._renewed()
        return self._kept

    async def replaced(self, current: str) -> None:
        """Wait until there is another value than the current one, which is renewed before it expires."""
        while self._kept == current:
            due = self._renew_at - self._clock()
            await asyncio.sleep(min(LOOK, max(_SHORTEST_LOOK, due)))
            # The log has what goes wrong.
            with suppress(CommandError):
                await self.authorization()

    async def _renewed(self) -> None:
        task = self._renewing()
        await asyncio.wait([task])
        task.result()

    def _renewing(self) -> asyncio.Task[None]:
        """Return the fetch that is under way in this event loop, or begin one."""
        loop, current = asyncio.get_running_loop(), self._fetching
        if current is None or current.done() or current.get_loop() is not loop:
            # A context of its own: it works for all calls, not for the one that started it.
            current = loop.create_task(self._fetch_now(), name=f"token of {self._what}", context=Context())
            current.add_done_callback(_looked_at)
            self._fetching = current
        return current

    async def _fetch_now(self) -> None:
        try:
            fetched = await self.fetch()
            text = authorization_of(fetched.text, self._what)
        except Exception as error:
            self._failed(error)
            if isinstance(error, CommandError):
                raise
            raise unavailable(f"{self._what} gave none: {type(error).__name__}: {error}") from error
        self._keep(text, fetched.seconds)

    def _keep(self, text: str, seconds: float | None) -> None:
        now = self._clock()
        ends = expiry_of(text)
        if seconds is not None:
            ends = now + seconds
        self._kept, self._trouble = text, ""
        if ends is None or ends <= now:
            # Whoever issued it has another time than this machine: then the context says when it is over.
            ends = float("inf")
        self._ends = ends
        self._renew_at = ends - min(_EARLY, _SHARE * (ends - now))

    def _failed(self, error: Exception) -> None:
        if str(error) != self._trouble:
            self._trouble = str(error)
            _log.warning("no new token from %s: %s", self._what, error)


def unavailable(why: str) -> Unavailable:
    """Return the error for a token that cannot be had now; `why` goes on after "there is no token: "."""
    return Unavailable("TOKEN_UNAVAILABLE", f"there is no token: {why}", retry_after_ms=500)


def _looked_at(task: asyncio.Task[None]) -> None:
    """Take note of an error that nobody waits for; it is in the log."""
    if not task.cancelled():
        task.exception()
