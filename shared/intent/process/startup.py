"""The start of a context process, which waits for PostgreSQL and Temporal."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar

from intent.errors import ServerUnavailable, StoreUnavailable
from intent.service import HealthMonitor, StartingServer
from intent.waiting import set_within

__all__ = ["Startup", "StoppedWhileStarting"]

T = TypeVar("T")

_log: Final = logging.getLogger(__name__)
_SHORTEST: Final = 0.2
_LONGEST: Final = 5.0


class StoppedWhileStarting(Exception):
    """The process is to end before it has started."""


class Startup:
    """What a process waits for while it starts, and whether it is ready from then on.

    Only a server that does not answer, or refuses for now, is waited for. What cannot correct itself, such
    as a schema or a namespace that is missing, ends the process.

    Args:
        stop: Set to end the process.
        server: Answers on the gRPC port while something is waited for; None: the process has none.
    """

    def __init__(
        self, stop: asyncio.Event, server: Callable[[Callable[[], str]], StartingServer] | None
    ) -> None:
        self._stop = stop
        self._make_server = server
        self._server: StartingServer | None = None
        self._waits_for: dict[str, str] = {}
        self._health: HealthMonitor | None = None

    def readiness(self) -> tuple[bool, Mapping[str, str]]:
        """Return whether the process is ready, and what is wrong, by name."""
        if self._health is not None:
            return self._health.ready, self._health.problems
        return False, self._waits_for or {"process": "it is starting"}

    async def available(self, server: str, attempt: Callable[[], Awaitable[T]]) -> T:
        """Call a function, again with growing pauses while the server that it needs is unavailable.

        Args:
            server: The server, as people call it.
            attempt: The function.

        Raises:
            StoppedWhileStarting: The process is to end.
        """
        pause = _SHORTEST
        while True:
            try:
                result = await self._unless_stopped(attempt)
            except (ServerUnavailable, StoreUnavailable) as error:
                await self._wait_for(server, str(error))
            else:
                if self._waits_for.pop(server, None) is not None:
                    _log.info("%s is available", server)
                return result
            if await set_within(self._stop, pause):
                raise StoppedWhileStarting
            pause = min(_LONGEST, 2 * pause)

    async def reached(self) -> None:
        """Leave the gRPC port to the server of the context: nothing is waited for any more."""
        server, self._server = self._server, None
        if server is not None:
            await server.stop()

    def done(self, health: HealthMonitor) -> None:
        """Note that the process has started; its monitor knows whether it is ready."""
        self._health = health

    async def _wait_for(self, server: str, reason: str) -> None:
        if self._waits_for.get(server) != reason:
            _log.warning("waiting for %s: %s", server, reason)
        self._waits_for[server] = reason
        if self._server is None and self._make_server is not None:
            starting = self._make_server(lambda: "; ".join(self._waits_for.values()))
            await starting.start()
            self._server = starting

    async def _unless_stopped(self, attempt: Callable[[], Awaitable[T]]) -> T:
        trying: asyncio.Future[T] = asyncio.ensure_future(attempt())
        both: list[asyncio.Future[Any]] = [trying, asyncio.create_task(self._stop.wait())]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if not trying.done():
                raise StoppedWhileStarting
            return trying.result()
        finally:
            for task in both:
                task.cancel()
            await asyncio.wait(both)
