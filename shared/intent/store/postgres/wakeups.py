"""Wake-ups for readers of the log: at once within the process, by NOTIFY across processes.

A wake-up carries only a position and may be lost, so the log's position is polled while somebody waits.
Topics are notified in the same way. The append itself does not notify: NOTIFY takes a lock over the
whole server at commit, which would serialise the commits of every context.
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
_POLL_INTERVAL: Final = 0.5
_RECONNECT: Final = 1.0
_SETTINGS: Final = {"application_name": "intent listener", "synchronous_commit": "off"}
"""A notification may be lost, so its commit does not wait for the disk."""


class WakeUps:
    """The newest known position of the log, and the readers who wait for a later one.

    Args:
        dsn: Where to listen and notify.
        channel: The context's channel.
        read_position: Reads the log's position, once for all who wait.
    """

    def __init__(self, dsn: str, channel: str, read_position: Callable[[], Awaitable[int]]) -> None:
        self._dsn = dsn
        self._channel = channel
        self._read_position = read_position
        self._position = 0
        self._waiting: set[asyncio.Future[None]] = set()
        self._connection: Any = None
        self._listener: asyncio.Task[None] | None = None
        self._notifier: asyncio.Task[None] | None = None
        self._poller: asyncio.Task[None] | None = None
        self._topics: dict[str, Callable[[], None]] = {}
        self._on_loss: Callable[[], None] | None = None
        self._unsent: set[str] = set()
        self._sender: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start to listen."""
        self._listener = asyncio.create_task(self._listen(), name="log-listener")

    async def stop(self) -> None:
        """Stop listening and notifying; whoever waits gets `StoreUnavailable`."""
        own = (self._listener, self._notifier, self._poller, self._sender)
        tasks = [task for task in own if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._fail(StoreUnavailable("the event store is closed"))

    def appended(self, position: int) -> None:
        """Wake the readers of this process at once, and those of other processes soon."""
        self.heard(position)
        if self._notifier is None or self._notifier.done():
            self._notifier = asyncio.create_task(self._notify(), name="log-notifier")

    def heard(self, position: int) -> None:
        """Record that the log has reached a position, and wake those who wait for it."""
        if position <= self._position:
            return
        self._position = position
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)

    def tell(self, topic: str) -> None:
        """Notify all processes that listen, this one included, at most once per throttling interval."""
        self._unsent.add(topic)
        if self._sender is None or self._sender.done():
            self._sender = asyncio.create_task(self._send_topics(), name="log-sender")

    def on(self, topic: str, call: Callable[[], None]) -> None:
        """Call back whenever a topic is notified; like any wake-up, a notification may be lost."""
        self._topics[topic] = call

    def on_loss(self, call: Callable[[], None]) -> None:
        """Call back whenever the server has closed the connection that listens, as in a crash."""
        self._on_loss = call

    async def wait_beyond(self, position: int, timeout: float) -> int:
        """Wait until a position above `position` is known, at most `timeout` seconds.

        Returns:
            The newest known position.

        Raises:
            StoreUnavailable: The log's position could not be read.
        """
        if self._position <= position:
            waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.add(waiting)
            self._start_polling()
            try:
                async with asyncio.timeout(timeout):
                    await waiting
            except TimeoutError:
                pass
            finally:
                self._waiting.discard(waiting)
        return self._position

    def _start_polling(self) -> None:
        if self._poller is None or self._poller.done():
            self._poller = asyncio.create_task(self._poll(), name="log-poller")

    async def _poll(self) -> None:
        """Read the log's position while somebody waits: a notification may have been lost."""
        while self._waiting:
            try:
                self.heard(await self._read_position())
            except Exception as error:
                self._fail(error)
            await asyncio.sleep(_POLL_INTERVAL)

    def _fail(self, error: Exception) -> None:
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_exception(error)

    async def _notify(self) -> None:
        """Notify other processes of the position, at most once per throttling interval."""
        sent = 0
        while sent < self._position and self._connection is not None:
            sent = self._position
            await self._send(str(sent))
            await asyncio.sleep(_THROTTLE)

    async def _send_topics(self) -> None:
        while self._unsent:
            await self._send(self._unsent.pop())
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
                _log.debug("not listening, trying again: %s", error)
            await asyncio.sleep(_RECONNECT)

    async def _listen_once(self) -> None:
        connection = await asyncpg.connect(self._dsn, timeout=5, server_settings=_SETTINGS)
        closed = asyncio.Event()
        try:
            connection.add_termination_listener(lambda _: closed.set())
            await connection.add_listener(self._channel, self._received)
            self._connection = connection
            await closed.wait()
            if self._on_loss is not None:
                self._on_loss()
        finally:
            self._connection = None
            connection.terminate()

    def _received(self, _connection: Any, _pid: int, _channel: str, payload: object) -> None:
        if isinstance(payload, str) and payload.isdigit():
            self.heard(int(payload))
        elif isinstance(payload, str) and payload in self._topics:
            self._topics[payload]()
