"""The end of a stream at the moment at which its caller's token expires."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from intent.errors import Unauthenticated
from intent.identity import Identity

__all__ = ["until_expiry"]

LOOK: Final = 15.0
"""Seconds after which the clock is looked at again: it may be set, or the machine suspended."""


@asynccontextmanager
async def until_expiry(identity: Identity, clock: Callable[[], float]) -> AsyncIterator[None]:
    """Let what is within the context manager run until the token of its caller expires.

    Args:
        identity: The caller.
        clock: Returns the time, in seconds since 1970.

    Raises:
        Unauthenticated: The token has expired.
    """
    expires = identity.expires
    if expires is None:
        yield
        return
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(None) as limit:
            timer: asyncio.Handle

            def check() -> None:
                nonlocal timer
                left = expires - clock()
                if left <= 0:
                    limit.reschedule(loop.time())
                else:
                    timer = loop.call_later(min(left, LOOK), check)

            timer = loop.call_soon(check)
            try:
                yield
            finally:
                timer.cancel()
    except TimeoutError:
        if not limit.expired():
            raise
        raise Unauthenticated(
            "TOKEN_EXPIRED",
            "the token of this stream has expired: get a new one and open the stream again; nothing is "
            "lost, events go on after the last position received, and consumers where they were",
            metadata={"accepted": "true"},
        ) from None
