"""Brings the events of a context's log to the sagas that listen, as one more consumer of the log.

See docs/adr/0029-sagas-follow-the-log.md for its states and steps.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from typing import Final, Protocol

from temporalio.service import RPCError, RPCStatusCode

from intent.consumers import (
    EVERY_TENANT,
    Answer,
    ConsumerKey,
    ConsumerServing,
    Delivered,
    Terms,
    partition_of,
)
from intent.errors import StoreUnavailable, Unavailable
from intent.model import BoundContext
from intent.records import LogEntry, StreamKey
from intent.saga_host.delivery import EventDelivery
from intent.store.postgres import FollowerMarks
from intent.waiting import now

__all__ = ["FOLLOWER", "Marks", "SagaFollower", "followed_types"]

_log: Final = logging.getLogger(__name__)

FOLLOWER: Final = ConsumerKey(EVERY_TENANT, "intent.sagas")
"""The consumer that the follower is."""

_IN_FLIGHT: Final = 128
_ATTEMPTS: Final = 5
_PARTITIONS: Final = 32
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 5.0
_PATIENCE: Final = 300.0
"""Seconds for which an error inside Temporal may be one of its own, and not one that an event causes."""
_REJOIN: Final = 0.1
_REMEMBERED: Final = 4096
"""How many positions are remembered as done, for those who ask for them a moment later."""

_REFUSED: Final = frozenset({RPCStatusCode.INVALID_ARGUMENT, RPCStatusCode.OUT_OF_RANGE})
"""What Temporal says of a request that it will never take, such as an id that is too long, and of a saga
that has had as many signals as one may have."""
_INSIDE: Final = frozenset({RPCStatusCode.INTERNAL, RPCStatusCode.UNKNOWN, RPCStatusCode.DATA_LOSS})


class Marks(Protocol):
    """Where the follower's marks are kept; `intent.store.postgres.PostgresSagaFollower` is one."""

    async def begin(self, types: Sequence[str], partitions: int) -> FollowerMarks:
        """Create the consumer unless it exists, and return the marks."""
        ...


class SagaFollower:
    """The follower of a context's log on behalf of sagas, as far as this process takes part in it.

    It is an instance of the consumer `FOLLOWER`, whose partitions all processes with a worker share. So
    each aggregate's events reach a saga one after the other, whoever recorded them, and what is not known
    to have reached its saga is brought again. While Temporal is unavailable an event waits. An event
    that Temporal refuses is parked by itself, with the later ones of its aggregate.

    Args:
        context: The context whose log it follows.
        delivery: Delivers an event to its sagas.
        marks: What happened before.
    """

    def __init__(self, context: BoundContext, delivery: EventDelivery, marks: Marks) -> None:
        self.delivery = delivery
        self.types = followed_types(context)
        self._declared = [*self.types, *_pairs(context, self.types)]
        self._marks = marks
        self._taking: _TakingPart | None = None
        self._began_at: int | None = None

    async def run(self, serving: ConsumerServing) -> None:
        """Take part until cancelled; join again whenever the session ends.

        Raises:
            StoreUnavailable: The database is unavailable.
        """
        terms = Terms(self._declared, False, _IN_FLIGHT, _ATTEMPTS, _PARTITIONS)
        while True:
            marks = await self._begin()
            self._taking = _TakingPart(self.delivery, marks.rewound_up_to)
            try:
                await serving.consume(FOLLOWER, terms, self._taking)
            except Unavailable as ended:
                _log.debug("the follower for sagas joins again: %s", ended)
            finally:
                self._taking.end()
            await asyncio.sleep(_REJOIN)

    async def _begin(self) -> FollowerMarks:
        marks = await self._marks.begin(self._declared, _PARTITIONS)
        self._began_at = marks.began_at
        return marks

    async def reach(self, entries: Sequence[LogEntry], timeout: float) -> int:
        """Wait until events have reached their sagas; return to how many sagas they go.

        Those that other processes bring are not waited for. Events from before there was a follower are
        delivered here, as they were then.

        Args:
            entries: The events.
            timeout: How long to wait at most, in seconds.
        """
        if self._began_at is None and self.types:
            await self._begin()
        began_at = self._began_at or 0
        deliveries = await self.delivery.deliver([entry for entry in entries if entry.position <= began_at])
        later = [
            (entry, len(self.delivery.listening(entry))) for entry in entries if entry.position > began_at
        ]
        if self._taking is not None:
            await self._taking.reach([entry for entry, sagas in later if sagas], timeout)
        return deliveries + sum(sagas for _, sagas in later)


class _TakingPart:
    """The instance of the consumer, for as long as one session lasts.

    Args:
        delivery: Delivers an event to its sagas.
        rewound_up_to: See `FollowerMarks`.
    """

    def __init__(self, delivery: EventDelivery, rewound_up_to: int) -> None:
        self._delivery = delivery
        self._rewound_up_to = rewound_up_to
        self._answers: asyncio.Queue[Answer] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._partitions: Collection[int] = ()
        self._total = 1
        self._done: dict[int, None] = {}
        self._awaited: dict[int, asyncio.Future[None]] = {}
        self._ended = False

    async def deliver(self, delivered: Delivered) -> None:
        """Begin to deliver an event; the engine sees to it that there are not too many at once."""
        entry = delivered.entry
        task = asyncio.create_task(self._bring(delivered), name=f"event {entry.position} to sagas")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def assign(self, partitions: Sequence[int], total: int) -> None:
        """Note which partitions this process has."""
        self._partitions, self._total = frozenset(partitions), total

    async def answers(self) -> AsyncIterator[Answer]:
        """Yield what has become of the events."""
        while True:
            yield await self._answers.get()

    async def reach(self, entries: Sequence[LogEntry], timeout: float) -> None:
        """Wait until those events of this process's partitions are answered."""
        if self._ended:
            return
        loop = asyncio.get_running_loop()
        awaited = [
            self._awaited.setdefault(entry.position, loop.create_future())
            for entry in entries
            if entry.position not in self._done and self._is_here(entry)
        ]
        if awaited:
            await asyncio.wait(awaited, timeout=timeout)
        for entry in entries:
            self._awaited.pop(entry.position, None)

    def end(self) -> None:
        """Drop what is under way, which is delivered again, and let nobody wait for it."""
        self._ended = True
        for task in self._tasks:
            task.cancel()
        for future in self._awaited.values():
            if not future.done():
                future.set_result(None)

    def _is_here(self, entry: LogEntry) -> bool:
        key = StreamKey(entry.tenant, entry.aggregate_type, entry.aggregate_id)
        return partition_of(key, self._total) in self._partitions

    async def _bring(self, delivered: Delivered) -> None:
        position = delivered.entry.position
        again = position <= self._rewound_up_to or delivered.attempt > 1 or delivered.replays > 0
        self._answers.put_nowait(await self._answer(delivered.entry, again))
        self._done[position] = None
        if len(self._done) > _REMEMBERED:
            del self._done[next(iter(self._done))]
        awaited = self._awaited.get(position)
        if awaited is not None and not awaited.done():
            awaited.set_result(None)

    async def _answer(self, entry: LogEntry, again: bool) -> Answer:
        """Deliver an event, however long Temporal is unavailable."""
        shown, began, pause = "", now(), _FIRST_PAUSE
        while True:
            outcome = await self._attempt(entry, again, now() - began)
            if isinstance(outcome, Answer):
                return outcome
            if outcome != shown and pause > 1:
                shown = outcome
                _log.warning("the event at %d waits to be brought to its sagas: %s", entry.position, outcome)
            await asyncio.sleep(pause)
            pause, again = min(_LONGEST_PAUSE, 2 * pause), again or now() - began > _PATIENCE

    async def _attempt(self, entry: LogEntry, again: bool, failing: float) -> Answer | str:
        """Return what has become of an event; a text: why it is to be tried again."""
        try:
            targets = self._delivery.targets(entry, again=again)
        except StoreUnavailable as error:
            return str(error)
        except Exception as error:
            _log.warning("the event at %d cannot be read for its sagas: %s", entry.position, error)
            return Answer(entry.position, f"{type(error).__name__}: {error}")
        deliveries = (self._delivery.deliver_to([target]) for target in targets)
        results = await asyncio.gather(*deliveries, return_exceptions=True)
        errors = [result for result in results if result is not None]
        # What Temporal does not take for one saga holds up no other that listens.
        trouble = next((error for error in errors if not _is_final(error, failing)), None)
        if trouble is not None:
            return f"{type(trouble).__name__}: {trouble}"
        return _parked(entry, errors[0]) if errors else Answer(entry.position)


def _is_final(error: BaseException, failing: float) -> bool:
    """Return whether Temporal will not take a delivery, having failed for some seconds."""
    if not isinstance(error, RPCError):
        return False  # Such as that the client cannot connect: that says nothing of the event.
    return error.status in _REFUSED or (error.status in _INSIDE and failing > _PATIENCE)


def _parked(entry: LogEntry, error: BaseException) -> Answer:
    reason = f"Temporal refuses it: {error}"
    _log.warning("the event at %d is parked for its sagas: %s", entry.position, reason)
    return Answer(entry.position, reason, final=True)


def followed_types(context: BoundContext) -> Sequence[str]:
    """Return the full names, as recorded, of the context's events to which any saga listens."""
    registry = context.registry
    heard = (
        e.type for e in registry.events.values() if e.context == context.name and registry.listeners(e.type)
    )
    return sorted({name for type_ in heard for name in context.upcasters.recorded_as(type_)})


def _pairs(context: BoundContext, types: Sequence[str]) -> Iterator[str]:
    """Yield which saga listens to which event.

    They are declared like types of events. So a process of a release in which fewer sagas listen leaves
    the work to those of one in which more do, and no saga misses what is recorded during a rollout.
    """
    for type_ in types:
        yield from sorted(f"{type_} for {saga.type}" for saga in context.registry.listeners(type_))
