"""Serves the consumers of a context in one process, together with the other processes that serve them."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final
from uuid import UUID, uuid4

from intent.background import Background, BackgroundTask, stop_all
from intent.consumers.counters import ConsumerCounters
from intent.consumers.database import ConsumerDatabase, NotAMemberError
from intent.consumers.keys import ConsumerKey
from intent.consumers.limits import forget_unused
from intent.consumers.log_source import LogSource
from intent.consumers.session import Instance, Session, SessionEndedError
from intent.consumers.settings import ConsumerSettings, Terms
from intent.errors import StoreUnavailable, Unavailable
from intent.store.event_store import EventStore
from intent.store.feed import LogFeed
from intent.waiting import now, set_within

__all__ = ["ConsumerServing"]

_log: Final = logging.getLogger(__name__)
_THROTTLE: Final = 0.05
"""The shortest pause, in seconds, between two heartbeats."""
_NEVER: Final = float("-inf")
_REJOIN_MS: Final = 100
"""Milliseconds after which an instance whose session has ended may join again."""
_MOST_NAMED: Final = 100
"""How many positions an error lists."""


class ConsumerServing:
    """Owns the sessions of a process and its lease on their partitions.

    A process has one lease: a periodic heartbeat, a single statement, renews it for all its
    instances. Once the lease may have expired, nothing is delivered any more, since other processes
    may have taken over.

    Args:
        store: The log.
        database: Stores the consumers.
        settings: The limits.
        notify: Notifies other processes that something has changed; they check periodically anyway.
        background: Runs what is done in the background.
    """

    def __init__(
        self,
        store: EventStore,
        database: ConsumerDatabase,
        settings: ConsumerSettings | None = None,
        notify: Callable[[], None] = lambda: None,
        background: Background | None = None,
    ) -> None:
        self.settings = settings or ConsumerSettings()
        self.database = database
        self._store = store
        self._notify = notify
        self._background = background or Background()
        self._feed = LogFeed(store, self.settings.page_bytes)
        store.epochs.on_begin(self._forget)
        self._name = f"{socket.gethostname()}:{os.getpid()}"
        self._worker: UUID
        self._lease_ends = _NEVER
        self._sessions: dict[UUID, Session] = {}
        self._counters: dict[ConsumerKey, ConsumerCounters] = {}
        self._consuming: Counter[ConsumerKey] = Counter()
        self._lease_lock = asyncio.Lock()
        self._refresh_due = asyncio.Event()
        self._member_left = False
        self._closed = False
        self._failing_since: float | None = None
        self._tasks: Sequence[BackgroundTask] = ()
        self._leaving: set[asyncio.Task[None]] = set()
        self._all_left = asyncio.Event()
        self._all_left.set()

    async def start(self) -> None:
        """Start serving."""
        parts: dict[str, Callable[[], Awaitable[None]]] = {
            "wake": self._wake_sessions,
            "lease": self._keep_lease,
            "metrics": self._keep_metrics,
            "forget": partial(forget_unused, self.database, self.settings),
        }
        self._tasks = [
            self._feed.start("consumers: feed", self._background),
            *(
                self._background.start(f"consumers: {what}", part, outages=(StoreUnavailable,))
                for what, part in parts.items()
            ),
        ]

    async def stop(self) -> None:
        """End all sessions, save their progress and release their partitions."""
        self.close()
        await set_within(self._all_left, self.settings.drain + self.settings.lease)
        await self._try_heartbeat()
        await stop_all(self._tasks)
        self._feed.close()

    def close(self) -> None:
        """Accept no more instances, and end the sessions soon."""
        self._closed = True
        for session in self._sessions.values():
            session.close()

    @property
    def instances(self) -> int:
        """How many instances are connected to this process."""
        return len(self._sessions)

    async def consume(self, key: ConsumerKey, terms: Terms, instance: Instance) -> None:
        """Serve an instance until it leaves.

        Raises:
            Unavailable: The process is stopping or has lost its lease; the instance is to join again.
            StoreUnavailable: The database is unavailable.
        """
        session = self._session(key, terms)
        self._consuming[key] += 1
        try:
            await self._take_part(session, instance)
        except SessionEndedError as ended:
            raise _rejoin(ended, session.unanswered) from None
        finally:
            self._consuming -= Counter([key])  # Without a key that has none any more.

    async def _take_part(self, session: Session, instance: Instance) -> None:
        try:
            await self._enlist(session)
            self.changed()
            await session.run(instance)
        finally:
            if session.id in self._sessions:
                # A caller that waits for the end of the call may rely on the progress being saved.
                task = asyncio.create_task(self._leave(session), name=f"consumer {session.key}: leave")
                self._leaving.add(task)
                task.add_done_callback(self._leaving.discard)
                await asyncio.shield(task)

    def changed(self) -> None:
        """Let this process and all others check at once what has changed."""
        self._refresh_due.set()
        self._notify()

    def refresh(self) -> None:
        """Check at once what has changed: another process has sent a notification."""
        self._refresh_due.set()

    def counters(self) -> Sequence[ConsumerCounters]:
        """Return the counters of each consumer, for metrics."""
        return list(self._counters.values())

    def stalled(self, longest: float) -> str:
        """Return what is wrong when the lease could not be renewed for `longest` seconds; empty otherwise."""
        if self._failing_since is None or now() - self._failing_since < longest:
            return ""
        return f"the lease could not be renewed for {now() - self._failing_since:.0f} s"

    def _session(self, key: ConsumerKey, terms: Terms) -> Session:
        source = LogSource(
            self._store,
            self._feed,
            self.database,
            key.tenant,
            self.settings.page,
            self.settings.page_bytes,
            self._store.epochs.incarnation,
        )
        return Session(
            key,
            uuid4(),
            terms,
            self.database,
            source,
            self.settings,
            self._counters.setdefault(key, ConsumerCounters(key)),
            alive=lambda: now() < self._lease_ends,
            changed=self.changed,
        )

    async def _enlist(self, session: Session) -> None:
        async with self._lease_lock:
            if self._closed:
                raise SessionEndedError("the service is shutting down")
            try:
                await self._enlist_in_lease(session)
            except NotAMemberError:
                self._lose_lease()
                raise SessionEndedError("the process was considered dead") from None

    async def _enlist_in_lease(self, session: Session) -> None:
        if now() >= self._lease_ends:
            self._lose_lease()
            await self._acquire_lease()
        # Known before it is a member: a heartbeat removes the members that it does not name.
        self._sessions[session.id] = session
        try:
            await session.join(self._worker)
        except BaseException:
            del self._sessions[session.id]
            self._member_left = True
            raise
        self._all_left.clear()

    async def _leave(self, session: Session) -> None:
        try:
            await session.leave()
        finally:
            # Not before it has left: a heartbeat removes the members that it does not name, and a
            # save of theirs is then refused.
            del self._sessions[session.id]
            self._member_left = True
            self.changed()
            if not self._sessions:
                self._all_left.set()

    async def _acquire_lease(self) -> None:
        worker, sent_at = uuid4(), now()
        await self.database.heartbeat(worker, self._name, self.settings.lease, [], new=True)
        self._worker, self._lease_ends = worker, sent_at + self.settings.lease

    def _lose_lease(self) -> None:
        """End all sessions: others may have taken over."""
        self._lease_ends = _NEVER
        for session in self._sessions.values():
            session.end("the process lost its lease, so others may have taken over")

    def _forget(self) -> None:
        """End all sessions: the next ones go on from what is saved of the log as it is now."""
        for session in self._sessions.values():
            session.forget("the log was restored or a standby promoted")

    async def _keep_lease(self) -> None:
        while True:
            self._refresh_due.clear()
            await self._try_heartbeat()
            if self._sessions and now() >= self._lease_ends:
                self._lose_lease()
            await asyncio.sleep(_THROTTLE)
            await set_within(self._refresh_due, self.settings.heartbeat_interval if self._sessions else None)

    async def _try_heartbeat(self) -> None:
        try:
            async with asyncio.timeout(self.settings.lease / 2):
                await self._heartbeat()
        except Exception as error:
            self._failing_since = self._failing_since or now()
            level = logging.DEBUG if isinstance(error, (StoreUnavailable, TimeoutError)) else logging.ERROR
            _log.log(level, "the lease of consumers was not renewed, trying again: %s", error)
        else:
            self._failing_since = None

    async def _heartbeat(self) -> None:
        async with self._lease_lock:
            if self._lease_ends == _NEVER or not (self._sessions or self._member_left):
                return
            member_left, self._member_left, sent_at = self._member_left, False, now()
            try:
                revisions = await self.database.heartbeat(
                    self._worker, self._name, self.settings.lease, list(self._sessions), new=False
                )
            except BaseException:
                self._member_left = member_left
                raise
            if revisions is None:
                self._lose_lease()
                return
            self._lease_ends = sent_at + self.settings.lease
            for id_, session in self._sessions.items():
                session.rebalance_if_changed(revisions.get(id_, session.revision))
                session.tick()
        if member_left:
            self._notify()

    async def _wake_sessions(self) -> None:
        while True:
            head = self._feed.head
            await self._feed.wait_beyond(head)
            for session in self._sessions.values():
                session.wake()

    async def _keep_metrics(self) -> None:
        while True:
            await self._read_metrics()
            await asyncio.sleep(self.settings.metrics_every)

    async def _read_metrics(self) -> None:
        rows = [*await self.database.own(), *await self.database.list(None)]
        known = {ConsumerKey(row.tenant, row.name) for row in rows}
        for key in self._counters.keys() - known - self._consuming.keys():
            del self._counters[key]
        for row in rows:
            key = ConsumerKey(row.tenant, row.name)
            counters = self._counters.setdefault(key, ConsumerCounters(key))
            counters.position, counters.lag = row.position, max(0, row.head - row.position)
            counters.instances, counters.parked_streams = row.instances, row.parked


def _rejoin(ended: SessionEndedError, unanswered: Sequence[int] | None) -> Unavailable:
    """Return the error for an instance that is to join again; it says what is delivered again."""
    metadata = {}
    if unanswered is None:
        again = "what has no answer is delivered again, and what was answered last may be"
    elif unanswered:
        again = f"what has no answer is delivered again, {len(unanswered)} in all"
        metadata["delivered_again"] = ",".join(map(str, sorted(unanswered)[:_MOST_NAMED]))
    else:
        again = "no delivery is without an answer"
    return Unavailable(
        "CONSUMER_ENDED", f"{ended}; {again}; join again", metadata=metadata, retry_after_ms=_REJOIN_MS
    )
