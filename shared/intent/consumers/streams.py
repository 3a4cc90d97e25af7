"""Streams and partitions as an instance's progress holds them in memory, and the reads that it requests."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import NamedTuple

from intent.consumers.changes import StreamMark
from intent.records import LogEntry, StreamKey

__all__ = [
    "Answer",
    "Delivered",
    "LogRead",
    "Partition",
    "Stream",
    "StreamCheckpoint",
    "StreamRead",
    "Turns",
    "Waiting",
]


@dataclass(slots=True)
class StreamCheckpoint:
    """The checkpoint of a stream that was set aside: its events are read from the stream itself.

    Attributes:
        version: All its events below this version are handled.
        position: The position of the first event that is not, or a lower bound of it.
        attempts: How often that event was tried.
        error: Why it failed last.
        retry_at: When it may be tried again, by the progress's clock.
        parked: True when it is not tried again until an operator replays or drops it.
        known: All its events up to this position are handled or wait.
        passed: The last position at which reading the log may have skipped an event of it.
        dropped: Positions of events that an operator dropped.
        replays: How often an operator replayed it.
        held: True when its next event is one that only other instances of the consumer handle.
    """

    version: int
    position: int
    known: int
    passed: int
    attempts: int = 0
    error: str = ""
    retry_at: float = 0.0
    parked: bool = False
    dropped: frozenset[int] = frozenset()
    replays: int = 0
    held: bool = False

    @classmethod
    def of(cls, mark: StreamMark, checkpoint: int, now: float) -> StreamCheckpoint:
        """Return what was saved; reading the log may have skipped anything up to the checkpoint."""
        return cls(
            version=mark.version,
            position=mark.position,
            known=mark.position - 1,
            passed=checkpoint,
            attempts=mark.attempts,
            error=mark.error,
            retry_at=now + mark.retry_in,
            parked=mark.parked,
            dropped=mark.dropped,
            replays=mark.replays,
        )

    def advance(self, entry: LogEntry) -> None:
        """Move past an event that was handled."""
        self.version, self.position = entry.version + 1, entry.position + 1
        self.attempts, self.error, self.retry_at = 0, "", 0.0

    def hold(self, entry: LogEntry) -> None:
        """Stop before an event that is not this instance's to handle."""
        self.version, self.position, self.known, self.held = (
            entry.version,
            entry.position,
            entry.position - 1,
            True,
        )
        self.passed = max(self.passed, entry.position)

    @property
    def caught_up(self) -> bool:
        """Whether nothing is left to be read from the stream itself."""
        return self.known >= self.passed


@dataclass(slots=True)
class Stream:
    """A stream with something to deliver; only one event of it is delivered at a time.

    Attributes:
        key: The stream.
        partition: The partition to which it belongs.
        waiting: Its next events, in order.
        waiting_bytes: How many bytes these have.
        busy: The delivered event that is unanswered; None when there is none.
        checkpoint: Its own checkpoint while it is set aside; None when it is not.
    """

    key: StreamKey
    partition: int
    waiting: deque[LogEntry] = field(default_factory=deque)
    waiting_bytes: int = 0
    busy: LogEntry | None = None
    checkpoint: StreamCheckpoint | None = None

    @property
    def unhandled(self) -> Sequence[LogEntry]:
        """Its events that are in memory, in order."""
        return [*([self.busy] if self.busy is not None else []), *self.waiting]

    def delivered(self, entry: LogEntry) -> Delivered:
        """Return its next event as it is delivered."""
        checkpoint = self.checkpoint
        if checkpoint is None:
            return Delivered(entry, 1)
        return Delivered(entry, 1 + checkpoint.attempts, checkpoint.replays)

    def mark(self, now: float) -> StreamMark:
        """Return what is to be saved of a stream that was set aside."""
        checkpoint = self.checkpoint
        assert checkpoint is not None
        return StreamMark(
            self.partition,
            self.key,
            checkpoint.version,
            checkpoint.position,
            checkpoint.attempts,
            checkpoint.error,
            max(0.0, checkpoint.retry_at - now),
            checkpoint.parked,
        )


class Turns:
    """The streams with an event to deliver, at once or after a pause.

    Attributes:
        ready: Those whose turn it is, in order.
    """

    def __init__(self) -> None:
        self.ready: deque[Stream] = deque()
        self._later: list[tuple[float, int, Stream]] = []
        self._tie_breaker = count()

    @property
    def next_retry(self) -> float | None:
        """When the next retry is due; None when no event waits for one."""
        return self._later[0][0] if self._later else None

    def add(self, stream: Stream) -> None:
        """Let a stream wait for its turn, or for its retry first."""
        checkpoint = stream.checkpoint
        if checkpoint is not None and checkpoint.retry_at:
            heapq.heappush(self._later, (checkpoint.retry_at, next(self._tie_breaker), stream))
        else:
            self.ready.append(stream)

    def due(self, now: float) -> Iterator[Stream]:
        """Remove and yield the streams whose retry is due."""
        while self._later and self._later[0][0] <= now:
            yield heapq.heappop(self._later)[2]


@dataclass(slots=True)
class Waiting:
    """The events that wait in memory, of all streams together.

    Attributes:
        count: How many there are.
        bytes: How many bytes they have.
    """

    count: int = 0
    bytes: int = 0

    def put(self, stream: Stream, entry: LogEntry) -> None:
        """Add an event after those of its stream that wait already."""
        stream.waiting.append(entry)
        self._add(stream, 1, len(entry.data))

    def take(self, stream: Stream) -> LogEntry:
        """Remove the next event of a stream and return it."""
        entry = stream.waiting.popleft()
        self._add(stream, -1, -len(entry.data))
        return entry

    def forget(self, stream: Stream) -> None:
        """Remove all events of a stream."""
        self._add(stream, -len(stream.waiting), -stream.waiting_bytes)
        stream.waiting.clear()

    def _add(self, stream: Stream, count: int, size: int) -> None:
        self.count += count
        self.bytes += size
        stream.waiting_bytes += size


@dataclass(slots=True)
class Partition:
    """A partition that the instance owns.

    Attributes:
        number: Its number.
        epoch: The epoch of the grant.
        saved: The checkpoint that was saved last.
        cursor: The log is read up to here.
        open: The streams of the events that wait or are unanswered, by position, in order.
        busy: How many are unanswered, including those of streams set aside.
        acknowledged: The highest position that was acknowledged.
        leaving: True when nothing more is delivered, since it is to be released.
    """

    number: int
    epoch: int
    saved: int
    cursor: int
    open: dict[int, Stream] = field(default_factory=dict)
    busy: int = 0
    acknowledged: int = 0
    leaving: bool = False

    @property
    def checkpoint(self) -> int:
        """The position up to which all events are handled, or belong to a stream that was set aside."""
        return next(iter(self.open)) - 1 if self.open else self.cursor

    @property
    def released(self) -> bool:
        """Whether it is given up with the next save."""
        return self.leaving and not self.busy

    def set_aside(self, stream: Stream, *failed: LogEntry) -> StreamCheckpoint:
        """Let the checkpoint move on without a stream whose first event is not handled yet."""
        events = [*failed, *stream.unhandled]
        for entry in events:
            self.open.pop(entry.position, None)
        first, last = events[0], events[-1]
        checkpoint = StreamCheckpoint(
            first.version, first.position, known=last.position, passed=last.position
        )
        stream.checkpoint = checkpoint
        return checkpoint


@dataclass(frozen=True, slots=True)
class StreamRead:
    """A request for the next events of a stream that was set aside.

    Attributes:
        stream: The stream.
        after_version: The version after which to read.
        cursor: How far the log was read when this was requested.
    """

    stream: Stream
    after_version: int
    cursor: int


@dataclass(frozen=True, slots=True)
class LogRead:
    """A request for the next events of the log.

    Attributes:
        after: The position after which to read.
        partitions: The partitions whose events are requested.
    """

    after: int
    partitions: Sequence[Partition]

    @property
    def partition_numbers(self) -> Sequence[int]:
        """The numbers of the partitions."""
        return [partition.number for partition in self.partitions]


class Delivered(NamedTuple):
    """An event on its way to the instance.

    Attributes:
        entry: The event.
        attempt: Which attempt this is, from 1 up.
        replays: How often an operator replayed its stream.
    """

    entry: LogEntry
    attempt: int
    replays: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """An instance's answer to a delivery.

    Attributes:
        position: The event's position.
        error: Why it could not be handled; None: it was.
        final: True when another attempt is futile until an operator replays it.
    """

    position: int
    error: str | None = None
    final: bool = False
