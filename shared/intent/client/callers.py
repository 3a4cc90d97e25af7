"""On whose behalf a client calls, and how it proves that."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from intent.addresses import is_local
from intent.client.tokens import FixedToken, TokenFunction, TokenSource
from intent.errors import CommandError, ConfigurationError, Unauthenticated, Unavailable

__all__ = ["Caller", "Pairs", "Renewals", "Token", "has_expired", "require_protected", "token_source"]

Pairs: TypeAlias = tuple[tuple[str, str], ...]
"""Metadata of a call."""

Token: TypeAlias = str | TokenSource | Callable[[], str | Awaitable[str]]
"""A token, or where tokens come from."""

_EXPIRED: Final = "TOKEN_EXPIRED"


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller on whose behalf calls are made.

    Attributes:
        tenant: The tenant.
        actor: Who calls, e.g. ``user:ann``; None: the server's default.
        roles: What it may do; None: the server's default.
        token: Where its access tokens come from; None: it has none.
    """

    tenant: str = ""
    actor: str | None = None
    roles: tuple[str, ...] | None = None
    token: TokenSource | None = None

    def metadata(self, authorization: str) -> Pairs:
        """Return the metadata that identifies the caller to the server.

        Args:
            authorization: As `authorization` returns it.
        """
        pairs = {
            "x-tenant-id": self.tenant or None,
            "x-actor": self.actor,
            "x-roles": None if self.roles is None else ",".join(self.roles),
            "authorization": authorization or None,
        }
        return tuple((key, value) for key, value in pairs.items() if value is not None)

    async def authorization(self, within: float | None = None) -> str:
        """Return the value of the metadata ``authorization`` for a call that begins now; empty: none.

        Args:
            within: How long it may take, in seconds.

        Raises:
            CommandError: There is no token, or not in time.
        """
        if self.token is None:
            return ""
        return await _in_time(self.token.authorization(), within)

    async def renewed(self, error: CommandError, used: str, within: float | None = None) -> str:
        """Return another value than the one that was used for a call; empty when that would not help.

        Args:
            error: How the call ended.
            used: The value that was used for it.
            within: How long it may take, in seconds.

        Raises:
            CommandError: There is no token, or not in time.
        """
        if self.token is None or not has_expired(error):
            return ""
        other = await _in_time(self.token.after(used), within)
        return "" if other == used else other


class Renewals:
    """Says whether to open a stream again that ended because its token has expired.

    Args:
        caller: On whose behalf it is opened.
    """

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._refused = False

    def accepted(self) -> None:
        """Note that the stream is open."""
        self._refused = False

    async def renewed(self, error: CommandError, used: str) -> bool:
        """Return whether there is another token, and none was refused as expired since a stream was open.

        Raises:
            CommandError: There is no token.
        """
        accepted = "accepted" in error.metadata
        if self._refused and not accepted:
            return False
        if not await self._caller.renewed(error, used):
            return False
        self._refused = not accepted
        return True


def has_expired(error: CommandError) -> bool:
    """Return whether a call ended because its token has expired."""
    return isinstance(error, Unauthenticated) and error.reason == _EXPIRED


def token_source(token: Token) -> TokenSource:
    """Return where tokens come from.

    Raises:
        ConfigurationError: It is a text that is no token.
    """
    if isinstance(token, TokenSource):
        return token
    return FixedToken(token) if isinstance(token, str) else TokenFunction(token)


def require_protected(target: str) -> None:
    """Check that a token that is sent to a target in plain text does not leave this machine.

    Raises:
        ConfigurationError: It would.
    """
    if not is_local(target):
        raise ConfigurationError(
            f"a token would be sent to {target} in plain text, where whoever is on the way can use it: pass "
            "credentials, so that TLS is spoken; or, where something else protects the network, "
            "token_in_plain_text=True"
        )


async def _in_time(getting: Awaitable[str], within: float | None) -> str:
    try:
        async with asyncio.timeout(within):
            return await getting
    except TimeoutError:
        raise Unavailable("TOKEN_UNAVAILABLE", "there is no token: it did not come in time") from None
