"""Wake-ups for readers of the log: at once within the process, by NOTIFY across processes.

A notification only wakes: whoever can connect may send one, so the position is always read from the
log itself. A notification may also be lost, so the position is polled while somebody waits. Topics are
notified in the same way. The append itself does not notify: NOTIFY takes a lock over the
whole server at commit, which would serialise the commits of every context.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

import asyncpg

from intent.background import Background, BackgroundTask, stop_all
from intent.errors import StoreUnavailable
from intent.waiting import set_within

__all__ = ["WakeUps"]

_log: Final = logging.getLogger(__name__)
_THROTTLE: Final = 0.02
_POLL_INTERVAL: Final = 0.5
_RECONNECT: Final = 1.0
_ANSWER: Final = 5.0
_LOOK: Final = 10.0
"""Seconds between two questions whether the connection that listens still leads to a server."""
_LOST: Final = (
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
_SETTINGS: Final = {"application_name": "intent listener", "synchronous_commit": "off"}
"""A notification may be lost, so its commit does not wait for the disk."""


class WakeUps:
    """The newest known position of the log, and the readers who wait for a later one.

    Args:
        dsn: Where to listen and notify.
        channel: The context's channel.
        read_position: Reads the log's position, once for all who wait.
        background: Runs the work.
        check: Is called with the connection that listens, when it is new and again at intervals.
    """

    def __init__(
        self,
        dsn: str,
        channel: str,
        read_position: Callable[[], Awaitable[int]],
        background: Background | None = None,
        check: Callable[[Any], Awaitable[object]] | None = None,
    ) -> None:
        self._check = check or _look
        self._dsn = dsn
        self._channel = channel
        self._read_position = read_position
        self._position = 0
        self._waiting: set[asyncio.Future[None]] = set()
        self._connection: Any = None
        self._background = background or Background()
        self._running: dict[str, BackgroundTask] = {}
        self._look = asyncio.Event()
        self._topics: dict[str, Callable[[], None]] = {}
        self._on_loss: Callable[[], None] | None = None
        self._unsent: set[str] = set()

    def start(self) -> None:
        """Start to listen."""
        self._run("log-listener", self._listen)

    async def stop(self) -> None:
        """Stop listening and notifying; whoever waits gets `StoreUnavailable`."""
        await stop_all(self._running.values())
        self._fail(StoreUnavailable("the event store is closed"))

    def appended(self, position: int) -> None:
        """Wake the readers of this process at once, and those of other processes soon."""
        self.heard(position)
        self._run("log-notifier", self._notify)

    def heard(self, position: int) -> None:
        """Record a position that the log itself has reported, and wake those who wait for it."""
        if position <= self._position:
            return
        self._position = position
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)

    def forget(self) -> None:
        """Forget the position: the log may have gone back. Whoever waits hears of where it is now."""
        self._position = 0
        self._look.set()

    def tell(self, topic: str) -> None:
        """Notify all processes that listen, this one included, at most once per throttling interval."""
        self._unsent.add(topic)
        self._run("log-sender", self._send_topics)

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
            self._run("log-poller", self._poll)
            try:
                async with asyncio.timeout(timeout):
                    await waiting
            except TimeoutError:
                pass
            finally:
                self._waiting.discard(waiting)
        return self._position

    def _run(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Start a task, unless it runs."""
        running = self._running.get(name)
        if running is None or running.over:
            self._running[name] = self._background.start(name, work, outages=_LOST, longest=_RECONNECT)

    async def _poll(self) -> None:
        """Read the log's position while somebody waits, at intervals and when a notification came."""
        while self._waiting:
            self._look.clear()
            try:
                self.heard(await self._read_position())
            except Exception as error:
                self._fail(error)
            await asyncio.sleep(_THROTTLE)
            await set_within(self._look, _POLL_INTERVAL)

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
        with contextlib.suppress(*_LOST):
            await self._connection.execute("select pg_notify($1, $2)", self._channel, payload)

    async def _listen(self) -> None:
        """Listen until the connection is lost.

        Raises:
            OSError: It was lost.
        """
        connection = await asyncpg.connect(
            self._dsn, timeout=_ANSWER, command_timeout=_ANSWER, server_settings=_SETTINGS
        )
        closed = asyncio.Event()
        try:
            connection.add_termination_listener(lambda _: closed.set())
            await self._check(connection)
            await connection.add_listener(self._channel, self._received)
            self._connection = connection
            self._missed()
            while not await set_within(closed, _LOOK):
                await self._check(connection)
            raise ConnectionResetError("the connection that listens was closed")
        finally:
            if self._connection is not None and self._on_loss is not None:
                self._on_loss()
            self._connection = None
            # What was heard may be lost by the crash that ended the connection.
            self._position = 0
            connection.terminate()

    def _received(self, _connection: Any, _pid: int, _channel: str, payload: object) -> None:
        if payload in self._topics:
            self._topics[str(payload)]()
        elif payload != str(self._position):
            self._look.set()

    def _missed(self) -> None:
        """Take every notification for one that was sent while nobody listened."""
        self._look.set()
        for call in self._topics.values():
            call()


async def _look(connection: Any) -> None:
    await connection.execute("select 1")
