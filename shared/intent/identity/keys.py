"""The keys of an issuer: kept, refreshed, and used on while the issuer is unavailable."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from typing import Any, Final

from joserfc.jwk import Key

from intent.errors import Unavailable
from intent.identity.algorithms import fits, public_key
from intent.identity.fetching import fetched_keys
from intent.identity.issuers import Issuer
from intent.oidc import IssuerUnavailable

__all__ = ["IssuerKeys"]

_log: Final = logging.getLogger(__name__)
_MOST: Final = 100
_PATIENCE: Final = 3.0
"""Seconds for which a call waits for keys that are being fetched."""
_RETRY_MS: Final = 1_000


class IssuerKeys:
    """The keys of one issuer.

    Args:
        issuer: The issuer.
        fetch: Returns the entries of its JWKS, or raises `IssuerUnavailable`.
        interval: Seconds between two refreshes.
        at_most_every: Seconds between two refreshes for tokens with unknown keys.
        clock: Returns seconds that only grow.

    Attributes:
        issuer: The issuer.
        problem: Why the last refresh failed; empty: it did not.
        on_loss: Called when a key is one of the issuer no longer.
    """

    def __init__(
        self,
        issuer: Issuer,
        *,
        fetch: Callable[[Issuer], Awaitable[list[Any]]] = fetched_keys,
        interval: float = 300.0,
        at_most_every: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.issuer = issuer
        self.problem = "its keys have not been fetched yet"
        self.on_loss: Callable[[], None] = lambda: None
        self._fetch = fetch
        self._interval = interval
        self._at_most_every = at_most_every
        self._clock = clock
        self._keys: dict[tuple[str | None, str], Key] = {}
        self._absent: set[str | None] = set()
        self._looked: float | None = None
        self._refreshing: asyncio.Task[None] | None = None

    async def matching(self, key_id: str | None, algorithm: str) -> Sequence[Key]:
        """Return the keys by which a token may be signed; refresh them first if none is known.

        Args:
            key_id: The id of the key that the token names, if any.
            algorithm: The algorithm that it names.

        Raises:
            Unavailable: None is known, and the issuer's keys cannot be had now.
        """
        named = self._named(key_id)
        if not named:
            named = await self._looked_up(key_id)
        return [key for key in named if fits(key, algorithm)]

    async def run(self) -> None:
        """Refresh the keys again and again, after the first time; sooner after a failure."""
        while True:
            await asyncio.sleep(min(self._interval, self._at_most_every) if self.problem else self._interval)
            await self.refresh()

    async def refresh(self, patience: float | None = None) -> None:
        """Fetch the keys, or wait for the fetch that is under way.

        Args:
            patience: The longest wait, in seconds; the fetch goes on. None: until it is over.
        """
        if not self._busy:
            # A context of its own: it works for all callers, not for the one that started it.
            self._refreshing = asyncio.get_running_loop().create_task(
                self._fetch_now(), name=f"keys of {self.issuer.name}", context=Context()
            )
        assert self._refreshing is not None
        await asyncio.wait([self._refreshing], timeout=patience)

    async def stop(self) -> None:
        """End a fetch that is under way."""
        if self._refreshing is not None:
            self._refreshing.cancel()
            await asyncio.wait([self._refreshing])

    @property
    def _busy(self) -> bool:
        return self._refreshing is not None and not self._refreshing.done()

    def _named(self, key_id: str | None) -> list[Key]:
        return [key for (known, _), key in self._keys.items() if key_id is None or known == key_id]

    async def _looked_up(self, key_id: str | None) -> list[Key]:
        """Return the keys of an id after a refresh, unless that was done just now: anybody can make up ids.

        Raises:
            Unavailable: The keys cannot be had, or nobody has looked for this one since it may be there.
        """
        now = self._clock()
        if self._busy or self._looked is None or now - self._looked >= self._at_most_every:
            if not self._busy:
                self._looked = now
                self._absent.clear()
            await self.refresh(_PATIENCE)
            named = self._named(key_id)
            if not named and not self.problem and not self._busy and len(self._absent) < _MOST:
                self._absent.add(key_id)
        else:
            named = self._named(key_id)
        if not named and key_id not in self._absent:
            raise self._unavailable()
        return named

    async def _fetch_now(self) -> None:
        try:
            found = [key for jwk in (await self._fetch(self.issuer))[:_MOST] if (key := public_key(jwk))]
            if not found:
                raise IssuerUnavailable("it has no key for signatures by public keys")
        except Exception as error:
            self._failed(error)
        else:
            self._take(found)

    def _failed(self, error: Exception) -> None:
        text = str(error) or type(error).__name__
        if text != self.problem:
            known = f"; the {len(self._keys)} known ones go on to count" if self._keys else ""
            defect = None if isinstance(error, IssuerUnavailable) else error
            _log.warning("no keys from the issuer %s: %s%s", self.issuer.name, text, known, exc_info=defect)
        self.problem = text

    def _take(self, found: Sequence[Key]) -> None:
        before, self._keys = self._keys, {(key.kid, key.thumbprint()): key for key in found}
        if self.problem or before.keys() != self._keys.keys():
            _log.info("the issuer %s has %d keys", self.issuer.name, len(self._keys))
        self.problem = ""
        lost = before.keys() - self._keys.keys()
        self._absent |= {key_id for key_id, _ in lost}
        self._absent -= {key_id for key_id, _ in self._keys}
        if lost:
            self.on_loss()

    def _unavailable(self) -> Unavailable:
        what = (
            f"the keys of the issuer {self.issuer.name} cannot be had now, so its token cannot be checked; "
            "try again"
        )
        return Unavailable("ISSUER_UNAVAILABLE", what, retry_after_ms=_RETRY_MS)
