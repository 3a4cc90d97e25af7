"""Tokens that the program itself has or gets."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable

from intent.client.tokens.reading import authorization_of
from intent.client.tokens.source import FetchedToken, TokenSource
from intent.errors import ConfigurationError, Unavailable

__all__ = ["FixedToken", "TokenFunction"]


class FixedToken(TokenSource):
    """A token that stays the same.

    Args:
        token: The token, or the whole value of the metadata ``authorization``.

    Raises:
        ConfigurationError: It is empty, or no token at all.
    """

    renewable = False

    def __init__(self, token: str) -> None:
        what = "the argument token"
        super().__init__(what)
        try:
            self._kept = authorization_of(token, what)
        except Unavailable as error:
            raise ConfigurationError(error.message) from None

    async def fetch(self) -> FetchedToken:
        """Return the token."""
        return FetchedToken(self._kept)


class TokenFunction(TokenSource):
    """Tokens that a function returns.

    Args:
        function: Returns a token, or an awaitable of one. It runs in a thread unless it is a coroutine
            function, so that it may block.
    """

    def __init__(self, function: Callable[[], str | Awaitable[str]]) -> None:
        super().__init__("the function for tokens")
        self._function = function

    async def fetch(self) -> FetchedToken:
        """Call the function."""
        function = self._function
        own = inspect.iscoroutinefunction(function)
        returned = function() if own else await asyncio.to_thread(function)
        token = await returned if inspect.isawaitable(returned) else returned
        if not isinstance(token, str):
            raise TypeError(f"it returned {type(token).__name__} and not a string")
        return FetchedToken(token)
