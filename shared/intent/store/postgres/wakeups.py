"""Wake-ups for readers of the log: at once within the process, by NOTIFY across processes.

A wake-up carries only a position and may be lost; while somebody waits, the log's position is looked at
now and then. Words may be told in the same way. The append itself does not notify: NOTIFY takes a lock
over the whole server at commit, which would serialise the commits of every context.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

import asyncpg

from intent.errors import StoreUnavailable

__all__ = ["WakeUps"]

_log: Final = logging.getLogger(__name__)
_THROTTLE: Final = 0.02
_LOOK_EVERY: Final = 0.5
_RECONNECT: Final = 1.0
_SETTINGS: Final = {"application_name": "intent listener", "synchronous_commit": "off"}
"""A notification may be lost, so none waits for the disk."""


class WakeUps:
    """Knows the newest position heard of, and wakes those who wait for more.

    Args:
        dsn: Where to listen and notify.
        channel: The context's channel.
        look: Reads the log's position; once for all who wait.
    """

    def __init__(self, dsn: str, channel: str, look: Callable[[], Awaitable[int]]) -> None:
        self._dsn = dsn
        self._channel = channel
        self._look = look
        self._position = 0
        self._waiting: set[asyncio.Future[None]] = set()
        self._connection: Any = None
        self._listener: asyncio.Task[None] | None = None
        self._notifier: asyncio.Task[None] | None = None
        self._lookout: asyncio.Task[None] | None = None
        self._words: dict[str, Callable[[], None]] = {}
        self._untold: set[str] = set()
        self._teller: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins to listen."""
        self._listener = asyncio.create_task(self._listen(), name="log-listener")

    async def stop(self) -> None:
        """Ends listening and notifying; who waits is told."""
        own = (self._listener, self._notifier, self._lookout, self._teller)
        tasks = [task for task in own if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._fail(StoreUnavailable("the event store is closed"))

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

    def tell(self, word: str) -> None:
        """Tells a word to all processes that listen, this one too, at most once per throttling interval."""
        self._untold.add(word)
        if self._teller is None or self._teller.done():
            self._teller = asyncio.create_task(self._tell(), name="log-teller")

    def on(self, word: str, call: Callable[[], None]) -> None:
        """Calls back whenever a word is told, which may be lost as any wake-up."""
        self._words[word] = call

    async def wait_beyond(self, position: int, timeout: float) -> int:
        """Waits until a position above `position` was heard of, at most `timeout` seconds.

        Returns:
            The newest position heard of.

        Raises:
            StoreUnavailable: The log could not be looked at.
        """
        if self._position <= position:
            waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.add(waiting)
            self._look_out()
            try:
                async with asyncio.timeout(timeout):
                    await waiting
            except TimeoutError:
                pass
            finally:
                self._waiting.discard(waiting)
        return self._position

    def _look_out(self) -> None:
        if self._lookout is None or self._lookout.done():
            self._lookout = asyncio.create_task(self._look_now_and_then(), name="log-lookout")

    async def _look_now_and_then(self) -> None:
        """Looks at the log while somebody waits: no notification may have come."""
        while self._waiting:
            try:
                self.heard(await self._look())
            except Exception as error:
                self._fail(error)
            await asyncio.sleep(_LOOK_EVERY)

    def _fail(self, error: Exception) -> None:
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_exception(error)

    async def _notify(self) -> None:
        """Tells other processes, at most once per throttling interval."""
        told = 0
        while told < self._position and self._connection is not None:
            told = self._position
            await self._send(str(told))
            await asyncio.sleep(_THROTTLE)

    async def _tell(self) -> None:
        while self._untold:
            await self._send(self._untold.pop())
            await asyncio.sleep(_THROTTLE)

    async def _send(self, payload: str) -> None:
        if self._connection is None:
            return
        with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await self._connection.execute("select pg_notify($1, $2)", self._channel, payload)

    async def _listen(self) -> None:
        while True:
            try:
                await self._listen_once()
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                _log.debug("not listening for now: %s", error)
            await asyncio.sleep(_RECONNECT)

    async def _listen_once(self) -> None:
        connection = await asyncpg.connect(self._dsn, timeout=5, server_settings=_SETTINGS)
        closed = asyncio.Event()
        try:
            connection.add_termination_listener(lambda _: closed.set())
            await connection.add_listener(self._channel, self._told)
            self._connection = connection
            await closed.wait()
        finally:
            self._connection = None
            connection.terminate()

    def _told(self, _connection: Any, _pid: int, _channel: str, payload: object) -> None:
        if isinstance(payload, str) and payload.isdigit():
            self.heard(int(payload))
        elif isinstance(payload, str) and payload in self._words:
            self._words[payload]()
