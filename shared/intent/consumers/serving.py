"""Serves the consumers of a context in one process, together with whatever other processes there are."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Callable, Sequence
from typing import Final, cast
from uuid import UUID, uuid4

from intent.consumers.counters import ConsumerCounters
from intent.consumers.database import ConsumerDatabase, NotAMemberError
from intent.consumers.keys import ConsumerKey
from intent.consumers.log_source import LogSource
from intent.consumers.session import Instance, Session, Terms, ended
from intent.consumers.settings import ConsumerSettings
from intent.errors import StoreUnavailable
from intent.store.event_store import EventStore
from intent.store.feed import LogFeed

__all__ = ["ConsumerServing"]

_log: Final = logging.getLogger(__name__)
_THROTTLE: Final = 0.05
"""The shortest pause, in seconds, between two signs of life."""
_NEVER: Final = float("-inf")


class ConsumerServing:
    """Owns the sessions of a process and keeps its lease on their partitions.

    The lease is the process's: one statement now and then renews it for all instances, however
    many there are. Once it may have run out, nothing is delivered any more, since other processes
    may have taken over.

    Args:
        store: The log.
        database: Keeps the consumers.
        settings: The limits.
        tell: Tells other processes that they have something to look at; they look now and then anyway.
    """

    def __init__(
        self,
        store: EventStore,
        database: ConsumerDatabase,
        settings: ConsumerSettings | None = None,
        tell: Callable[[], None] = lambda: None,
    ) -> None:
        self.settings = settings or ConsumerSettings()
        self.database = database
        self._store = store
        self._tell = tell
        self._feed = LogFeed(store)
        self._name = f"{socket.gethostname()}:{os.getpid()}"
        self._worker: UUID
        self._lease_ends = _NEVER
        self._sessions: dict[UUID, Session] = {}
        self._counters: dict[ConsumerKey, ConsumerCounters] = {}
        self._one_at_a_time = asyncio.Lock()
        self._look = asyncio.Event()
        self._ended = False
        self._closed = False
        self._failing_since: float | None = None
        self._tasks: Sequence[asyncio.Task[None]] = ()
        self._farewells: set[asyncio.Task[None]] = set()
        self._quiet = asyncio.Event()
        self._quiet.set()

    async def start(self) -> None:
        """Begins to serve."""
        parts = {
            "feed": self._feed.run(),
            "wake": self._wake_sessions(),
            "lease": self._keep_lease(),
            "figures": self._keep_figures(),
        }
        self._tasks = [asyncio.create_task(part, name=f"consumers: {what}") for what, part in parts.items()]

    async def stop(self) -> None:
        """Ends all sessions, saves what they know and gives their partitions back."""
        self.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.settings.drain + self.settings.lease):
                await self._quiet.wait()
        await self._beat_safely()
        for task in self._tasks:
            task.cancel()
        self._feed.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def close(self) -> None:
        """Takes in no more instances and ends those that are there, soon."""
        self._closed = True
        for session in self._sessions.values():
            session.close()

    @property
    def instances(self) -> int:
        """How many instances are connected to this process."""
        return len(self._sessions)

    async def consume(self, key: ConsumerKey, terms: Terms, instance: Instance) -> None:
        """Lets an instance take part until it leaves.

        Raises:
            Unavailable: The process stops or has lost its lease; the instance is to join again.
            StoreUnavailable: The database is away.
        """
        session = self._session(key, terms)
        try:
            await self._enlist(session)
            self.changed()
            await session.run(instance)
        finally:
            if self._sessions.pop(session.id, None) is not None:
                # Whoever waits for the end of the call may rely on what was saved.
                task = asyncio.create_task(self._farewell(session), name=f"consumer {key}: farewell")
                self._farewells.add(task)
                await asyncio.shield(task)

    def changed(self) -> None:
        """Has this process and all others look who works on what."""
        self._look.set()
        self._tell()

    def look(self) -> None:
        """Looks who works on what: another process says that something has changed."""
        self._look.set()

    def counters(self) -> Sequence[ConsumerCounters]:
        """Returns the figures of each consumer, for metrics."""
        return list(self._counters.values())

    def stalled(self, longest: float) -> str:
        """Tells that the lease could not be renewed for more than `longest` seconds; empty: all is well."""
        if self._failing_since is None or _now() - self._failing_since < longest:
            return ""
        return f"the lease could not be renewed for {_now() - self._failing_since:.0f} s"

    def _session(self, key: ConsumerKey, terms: Terms) -> Session:
        source = LogSource(
            self._store, self._feed, self.database, key.tenant, tuple(terms.types), self.settings.page
        )
        return Session(
            key,
            uuid4(),
            terms,
            self.database,
            source,
            self.settings,
            self._counters.setdefault(key, ConsumerCounters(key)),
            alive=lambda: _now() < self._lease_ends,
            changed=self.changed,
        )

    async def _enlist(self, session: Session) -> None:
        async with self._one_at_a_time:
            if self._closed:
                raise ended("the service is shutting down")
            try:
                await self._enlist_in_lease(session)
            except NotAMemberError:
                self._lose_lease()
                raise ended("the process was taken for dead") from None

    async def _enlist_in_lease(self, session: Session) -> None:
        if _now() >= self._lease_ends:
            self._lose_lease()
            await self._begin_lease()
        # Known before it is a member: a sign of life ends the members that it does not name.
        self._sessions[session.id] = session
        try:
            await session.join(self._worker)
        except BaseException:
            del self._sessions[session.id]
            self._ended = True
            raise
        self._quiet.clear()

    async def _farewell(self, session: Session) -> None:
        try:
            await session.leave()
        finally:
            self._ended = True
            self.changed()
            self._farewells.discard(cast("asyncio.Task[None]", asyncio.current_task()))
            if not self._sessions and not self._farewells:
                self._quiet.set()

    async def _begin_lease(self) -> None:
        worker, begun = uuid4(), _now()
        await self.database.beat(worker, self._name, self.settings.lease, [], new=True)
        self._worker, self._lease_ends = worker, begun + self.settings.lease

    def _lose_lease(self) -> None:
        """Ends all sessions: others may have taken over."""
        self._lease_ends = _NEVER
        for session in self._sessions.values():
            session.end(ended("the process was silent for too long, so others may have taken over"))

    async def _keep_lease(self) -> None:
        while True:
            self._look.clear()
            await self._beat_safely()
            if self._sessions and _now() >= self._lease_ends:
                self._lose_lease()
            await asyncio.sleep(_THROTTLE)
            await self._pause(self.settings.beat if self._sessions else None)

    async def _pause(self, seconds: float | None) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._look.wait()
        except TimeoutError:
            return

    async def _beat_safely(self) -> None:
        try:
            async with asyncio.timeout(self.settings.lease / 2):
                await self._beat()
        except (StoreUnavailable, TimeoutError) as error:
            self._failing_since = self._failing_since or _now()
            _log.debug("the lease of consumers is not renewed for now: %s", error)
        else:
            self._failing_since = None

    async def _beat(self) -> None:
        async with self._one_at_a_time:
            if self._lease_ends == _NEVER or not (self._sessions or self._ended):
                return
            farewell, self._ended, begun = self._ended, False, _now()
            try:
                revisions = await self.database.beat(
                    self._worker, self._name, self.settings.lease, list(self._sessions), new=False
                )
            except BaseException:
                self._ended = farewell
                raise
            if revisions is None:
                self._lose_lease()
                return
            self._lease_ends = begun + self.settings.lease
            for id_, session in self._sessions.items():
                session.share(revisions.get(id_, session.revision))
                session.look()
        if farewell:
            self._tell()

    async def _wake_sessions(self) -> None:
        while True:
            head = self._feed.head
            await self._feed.wait_beyond(head)
            for session in self._sessions.values():
                session.wake()

    async def _keep_figures(self) -> None:
        while True:
            try:
                await self._read_figures()
            except StoreUnavailable as error:
                _log.debug("no figures of consumers for now: %s", error)
            await asyncio.sleep(self.settings.figures_every)

    async def _read_figures(self) -> None:
        rows = await self.database.list(None)
        known = {ConsumerKey(row.tenant, row.name) for row in rows}
        busy = {session.key for session in self._sessions.values()}
        for key in self._counters.keys() - known - busy:
            del self._counters[key]
        for row in rows:
            key = ConsumerKey(row.tenant, row.name)
            counters = self._counters.setdefault(key, ConsumerCounters(key))
            counters.position, counters.lag = row.position, max(0, row.head - row.position)
            counters.instances, counters.parked_streams = row.instances, row.parked


def _now() -> float:
    return asyncio.get_running_loop().time()
