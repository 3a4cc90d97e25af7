"""One instance of a consumer while it is connected to this process."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final, Protocol
from uuid import UUID

from intent.consumers.counters import ConsumerCounters
from intent.consumers.database import ConsumerDatabase, NotAMemberError, Share
from intent.consumers.event_types import log_forgotten
from intent.consumers.keys import ConsumerKey
from intent.consumers.limits import too_many_consumers
from intent.consumers.log_source import LogSource
from intent.consumers.progress import Progress
from intent.consumers.settings import ConsumerSettings, Terms
from intent.consumers.streams import Answer, Delivered
from intent.errors import StoreUnavailable
from intent.waiting import now, set_within

__all__ = ["Instance", "Session", "SessionEndedError"]

_log: Final = logging.getLogger(__name__)
_STORE_PAUSE: Final = 0.5
"""How long, in seconds, to wait before another attempt while the database is unavailable."""
_LULL: Final = 0.25
"""For how long, in seconds, no answer may have arrived when deliveries are given up."""


class SessionEndedError(Exception):
    """The process ends the session, for the reason in the message; the instance is to join again."""


class Instance(Protocol):
    """The other end of a session."""

    async def deliver(self, delivered: Delivered) -> None:
        """Send it an event; wait while it does not read."""
        ...

    async def assign(self, partitions: Sequence[int], total: int) -> None:
        """Send it the partitions that it owns, of `total`."""
        ...

    def answers(self) -> AsyncIterator[Answer]:
        """Yield its answers until it leaves."""
        ...


class Session:
    """Delivers to one instance its share of a consumer's work.

    Three tasks share one progress: one takes the answers, one reads and delivers, one saves the
    progress and rebalances the partitions with the other instances.

    A session that ends in good order loses no acknowledgement. It delivers nothing more, takes the
    answers that arrive until all deliveries are answered or `drain` has passed, and saves what it
    has. Only then does it give its partitions up and cease to be a member, and only then does its
    call end, which says what is delivered again.

    Args:
        key: The consumer.
        id: The id of the instance.
        terms: The instance's terms.
        database: Stores the consumers.
        source: Where the events come from.
        settings: The limits.
        counters: The counters to increment.
        alive: Returns whether this process may still deliver; it may not once others may take over.
        changed: Called when other instances may have to rebalance.

    Attributes:
        unanswered: The positions that were unanswered when it left, and are delivered again; None
            when its progress could not be saved, so that what was answered may be as well.
    """

    def __init__(
        self,
        key: ConsumerKey,
        id: UUID,  # noqa: A002
        terms: Terms,
        database: ConsumerDatabase,
        source: LogSource,
        settings: ConsumerSettings,
        counters: ConsumerCounters,
        alive: Callable[[], bool],
        changed: Callable[[], None],
    ) -> None:
        self.key = key
        self.id = id
        self.revision = -1
        self._terms = terms
        self._database = database
        self._source = source
        self._epoch = source.store.epochs.current
        self._forgotten = False
        self._settings = settings
        self._counters = counters
        self._alive = alive
        self._changed = changed
        self._progress: Progress
        self._wake = asyncio.Event()
        self._due = asyncio.Event()
        self._rebalance_due = self._assignment_due = True
        self._types_revision: int | None = None
        self._forget_at: float | None = None
        self._saved_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._saving: asyncio.Task[bool] | None = None
        self._closing: float | None = None
        self._lulls = 0
        self._end: SessionEndedError | None = None
        self.unanswered: Sequence[int] | None = ()

    async def join(self, worker: UUID) -> None:
        """Add the instance to the members of its consumer.

        Raises:
            NotAMemberError: The process was considered dead.
            StoreUnavailable: The database is unavailable.
            Overloaded: The consumer is new and its tenant has as many as it may have.
        """
        terms, settings, member = self._terms, self._settings, (self.key, self.id, worker)
        joined = await self._database.join(
            *member,
            partitions=terms.partitions,
            from_now=terms.from_now,
            types=terms.types,
            most_per_tenant=settings.most_per_tenant,
            actor=terms.actor,
        )
        if joined.partitions is None:
            raise too_many_consumers(self.key, settings.most_per_tenant)
        if joined.newcomer:
            _log.warning("%s joins the consumer %s for the first time", terms.actor, self.key)
        self._progress = Progress(joined.partitions, settings.policy(terms.attempts), terms.types)
        self._saved_at = now()
        await self._rebalance()

    async def run(self, instance: Instance) -> None:
        """Deliver until the instance leaves.

        Raises:
            SessionEndedError: The process is stopping, or others may have taken over.
        """
        tasks = [
            asyncio.create_task(part, name=f"consumer {self.key}: {what}")
            for what, part in (
                ("answers", self._take_answers(instance)),
                ("deliveries", self._deliver(instance)),
                ("maintenance", self._maintain()),
            )
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            if self._timer is not None:
                self._timer.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()

    async def leave(self) -> None:
        """Save the progress and release all partitions; their next owners deliver unanswered events again.

        While the database is unavailable, this tries again until others may have taken over.
        """
        if self._saving is not None:
            await asyncio.gather(self._saving, return_exceptions=True)
        unanswered = self._progress.abandon()
        self.unanswered = None
        if self._forgotten:
            return
        try:
            await self._save_while_alive()
        except (NotAMemberError, StoreUnavailable) as error:
            _log.debug("consumer %s: left without saving: %s", self.key, error)
        else:
            self.unanswered = unanswered

    async def _save_while_alive(self) -> None:
        while True:
            try:
                await self._save()
                return
            except StoreUnavailable:
                if self._forgotten or not self._alive():
                    raise
            await asyncio.sleep(_STORE_PAUSE)

    def close(self) -> None:
        """Deliver nothing more, and end once all deliveries are answered or `drain` has passed."""
        if self._closing is None:
            self._closing = now() + self._settings.drain
            asyncio.get_running_loop().call_later(self._settings.drain, self._due.set)
            self._due.set()

    def end(self, why: str) -> None:
        """End at once."""
        self._end = SessionEndedError(why)
        self._due.set()

    def forget(self, why: str) -> None:
        """End at once without saving anything: the log has gone back behind what was read of it."""
        self._forgotten = True
        self.end(why)

    def rebalance_if_changed(self, revision: int) -> None:
        """Rebalance the partitions and look for actions of an operator if the revision has changed."""
        if revision != self.revision:
            self.revision = revision
            self._rebalance_due = True
            self._due.set()

    def wake(self) -> None:
        """Check whether there is more to deliver."""
        self._wake.set()

    def tick(self) -> None:
        """Handle what time brings: answers that take too long, and progress without deliveries."""
        self._progress.set_slow_streams_aside(now())
        if self._forget_at is not None and now() >= self._forget_at:
            self._rebalance_due = True
            self._due.set()
        if self._progress.urgent or now() - self._saved_at >= self._settings.progress_every:
            self._due.set()

    async def _take_answers(self, instance: Instance) -> None:
        async for answer in instance.answers():
            if answer.error is None:
                self._counters.acknowledged += self._progress.acknowledge(answer.position)
            else:
                failed = self._progress.fail(answer.position, answer.error, now(), final=answer.final)
                self._counters.failures += failed
            self._wake.set()
            self._save_soon()

    def _save_soon(self) -> None:
        if self._progress.urgent or (self._closing is not None and not self._progress.unanswered):
            self._due.set()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._settings.save_every, self._save_now)

    def _save_now(self) -> None:
        self._timer = None
        self._due.set()

    async def _deliver(self, instance: Instance) -> None:
        while True:
            self._wake.clear()
            if self._assignment_due:
                self._assignment_due = False
                await instance.assign(self._progress.partitions, self._progress.total)
            await self._deliver_ready(instance)
            if not await self._read():
                await self._wait_for_work()

    async def _deliver_ready(self, instance: Instance) -> None:
        while self._may_deliver():
            delivered = self._progress.next(now())
            if delivered is None:
                return
            self._counters.deliveries += 1
            await instance.deliver(delivered)

    def _may_deliver(self) -> bool:
        size, most = self._progress.unanswered_bytes, self._settings.unanswered_bytes
        room = self._progress.unanswered < self._terms.in_flight and size < most
        return room and self._closing is None and self._end is None and self._alive()

    async def _read(self) -> bool:
        """Read on while few events wait; return whether to check at once for more to deliver."""
        waiting, enough = self._progress.waiting, max(self._terms.in_flight, self._source.page)
        full = waiting.count >= enough or waiting.bytes >= self._settings.waiting_bytes
        if self._closing is not None or self._end is not None or full:
            return False
        try:
            return await self._source.read(self._progress)
        except StoreUnavailable:
            await asyncio.sleep(_STORE_PAUSE)
            return True

    async def _wait_for_work(self) -> None:
        at = self._progress.wake_at() if self._may_deliver() else None
        await set_within(self._wake, None if at is None else max(0.0, at - now()))

    async def _maintain(self) -> None:
        while True:
            try:
                await self._maintain_once()
                await self._due.wait()
            except NotAMemberError:
                raise SessionEndedError("other instances have taken over its partitions") from None
            except StoreUnavailable as error:
                _log.debug("consumer %s: progress was not saved, trying again: %s", self.key, error)
                await self._end_if_drained()
                self._due.set()
                await asyncio.sleep(_STORE_PAUSE)

    async def _maintain_once(self) -> None:
        self._due.clear()
        if self._end is not None:
            raise self._end
        if self._rebalance_due and self._closing is None:
            await self._rebalance()
        if await self._save():
            self._due.set()
        await self._end_if_drained()

    async def _end_if_drained(self) -> None:
        """End a closing session once all deliveries are answered, or the time for answers is over."""
        if self._closing is None:
            return
        if self._progress.unanswered and (now() < self._closing or await self._answers_arrive()):
            return
        raise SessionEndedError("the service is shutting down")

    async def _answers_arrive(self) -> bool:
        """Return whether answers arrive although their time is over.

        They have reached the process when the event loop was held up, or when there are many. Lulls are
        counted, and not measured by the clock, which went on while the event loop was held up.
        """
        if self._lulls * _LULL > self._settings.drain:
            return False
        self._lulls += 1
        unanswered = self._progress.unanswered
        await asyncio.sleep(_LULL)
        self._due.set()
        return self._progress.unanswered < unanswered

    async def _rebalance(self) -> None:
        """Claim and release partitions so that each instance has its share."""
        self._rebalance_due = False
        try:
            await self._adopt_share()
        except BaseException:
            self._rebalance_due = True
            raise

    async def _adopt_share(self) -> None:
        progress = self._progress
        share = await self._database.balance(self.key, self.id, self._settings.types_kept)
        if not progress.epochs.items() <= {grant.partition: grant.epoch for grant in share.grants}.items():
            raise NotAMemberError  # Others had one of them in between, or an operator moved its checkpoint.
        self._adopt_types(share)
        new = [grant for grant in share.grants if grant.partition not in progress.held]
        parked = progress.parked
        if new or parked:
            marks = await self._database.set_aside_streams(
                self.key, [grant.partition for grant in share.grants]
            )
            progress.unpark(marks, parked, now())
            for grant in new:
                progress.claim(grant, [mark for mark in marks if mark.partition == grant.partition], now())
        surplus = progress.surplus(len(progress.partitions) - share.size)
        progress.retire(surplus)
        if new or surplus:
            self._assignment_due = True
        self._wake.set()

    def _adopt_types(self, share: Share) -> None:
        progress, before = self._progress, self._types_revision
        if progress.held and share.types_revision != before and not progress.types.cover(share.types):
            # It may have passed events of these types, so nothing that it saves now would be right.
            raise SessionEndedError("an instance that handles more event types has joined")
        self._types_revision = share.types_revision
        self._forget_at = None if share.forget_in is None else now() + share.forget_in
        progress.declare(share.types)
        log_forgotten(self.key, share, self._settings.types_kept)

    async def _save(self) -> bool:
        """Save what has changed; return whether there is more to save at once.

        A save ends by itself even when the caller is cancelled: whether one that was cut off has
        taken effect, and with it a release, would not be known.
        """
        self._saving = asyncio.create_task(self._save_changes(), name=f"consumer {self.key}: save")
        return await asyncio.shield(self._saving)

    async def _save_changes(self) -> bool:
        changes = self._progress.changes(now())
        self._saved_at = now()
        if not changes:
            return False
        try:
            self._source.store.epochs.check(self._epoch)
            await self._database.save(self.key, self.id, changes, self._source.incarnation)
        except BaseException:
            self._progress.not_saved(changes)
            raise
        self._progress.saved(changes)
        self._counters.parked += sum(mark.parked for mark in changes.streams)
        if any(mark.release for mark in changes.partitions):
            self._changed()
        return self._progress.urgent
