"""Wake-ups for readers of the log: directly within the process, by NOTIFY across processes.

A wake-up carries only a position and may be lost; a reader that misses it looks again after the
polling interval. The append itself does not notify: NOTIFY takes a lock over the whole server at
commit, which would serialise the commits of every context.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any, Final

import asyncpg

__all__ = ["WakeUps"]

_log: Final = logging.getLogger(__name__)
_THROTTLE: Final = 0.02
_RECONNECT: Final = 1.0


class WakeUps:
    """Knows the newest position heard of, and wakes those who wait for more.

    Args:
        dsn: Where to listen.
        pool: Connections to notify through.
        channel: The context's channel.
    """

    def __init__(self, dsn: str, pool: Any, channel: str) -> None:
        self._dsn = dsn
        self._pool = pool
        self._channel = channel
        self._position = 0
        self._waiting: set[asyncio.Future[None]] = set()
        self._listener: asyncio.Task[None] | None = None
        self._notifier: asyncio.Task[None] | None = None

    @property
    def position(self) -> int:
        """The newest position heard of."""
        return self._position

    def start(self) -> None:
        """Begins to listen."""
        self._listener = asyncio.create_task(self._listen(), name="log-listener")

    async def stop(self) -> None:
        """Ends listening and notifying."""
        tasks = [task for task in (self._listener, self._notifier) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def appended(self, position: int) -> None:
        """Wakes the readers of this process at once, and those of others soon."""
        self.heard(position)
        if self._notifier is None or self._notifier.done():
            self._notifier = asyncio.create_task(self._notify(), name="log-notifier")

    def heard(self, position: int) -> None:
        """Notes that the log has reached a position."""
        if position <= self._position:
            return
        self._position = position
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)

    async def wait_beyond(self, position: int, timeout: float) -> int:
        """Waits until a position above `position` was heard of, at most `timeout` seconds."""
        if self._position <= position:
            waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.add(waiting)
            try:
                await asyncio.wait([waiting], timeout=timeout)
            finally:
                self._waiting.discard(waiting)
        return self._position

    async def _notify(self) -> None:
        """Tells other processes, at most once per throttling interval."""
        told = 0
        while told < self._position:
            told = self._position
            with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await self._pool.execute("select pg_notify($1, $2)", self._channel, str(told))
            await asyncio.sleep(_THROTTLE)

    async def _listen(self) -> None:
        while True:
            try:
                await self._listen_once()
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                _log.debug("not listening for now: %s", error)
            await asyncio.sleep(_RECONNECT)

    async def _listen_once(self) -> None:
        connection = await asyncpg.connect(self._dsn, timeout=5)
        closed = asyncio.Event()
        try:
            connection.add_termination_listener(lambda _: closed.set())
            await connection.add_listener(self._channel, self._told)
            await closed.wait()
        finally:
            connection.terminate()

    def _told(self, _connection: Any, _pid: int, _channel: str, payload: object) -> None:
        if isinstance(payload, str) and payload.isdigit():
            self.heard(int(payload))
