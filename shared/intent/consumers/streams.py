"""Streams and partitions as an instance's progress keeps them in memory, and what it asks for."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from intent.consumers.changes import StreamMark
from intent.records import LogEntry, StreamKey

__all__ = ["Aside", "Delivered", "LogRead", "Partition", "Stream", "StreamRead"]


@dataclass(slots=True)
class Aside:
    """The place of a stream that was set aside: its events are read from the stream itself.

    Attributes:
        version: All its events below this version are dealt with.
        position: The position of the first event that is not, or a lower bound of it.
        attempts: How often that event was tried.
        error: Why it failed last.
        retry_at: When it may be tried again, by the progress's clock.
        parked: True when it is not tried again until an operator says so.
        known: All its events up to this position are dealt with or wait.
        passed: The last position at which the reading of the log may have passed an event of it.
        dropped: Positions of events that an operator gave up.
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

    @classmethod
    def of(cls, mark: StreamMark, checkpoint: int, now: float) -> Aside:
        """Returns what was saved; up to the checkpoint, anything may have been passed."""
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
        )

    def advance(self, entry: LogEntry) -> None:
        """Goes on behind an event that is dealt with."""
        self.version, self.position = entry.version + 1, entry.position + 1
        self.attempts, self.error, self.retry_at = 0, "", 0.0

    @property
    def caught_up(self) -> bool:
        """Whether nothing of the stream is left to be read from the stream itself."""
        return self.known >= self.passed


@dataclass(slots=True)
class Stream:
    """A stream with something to deliver; only one event of it is delivered at a time.

    Attributes:
        key: The stream.
        partition: The partition to which it belongs.
        waiting: Its next events, in order.
        busy: The event that the instance has not answered yet.
        aside: Its own place, when it was set aside.
    """

    key: StreamKey
    partition: int
    waiting: deque[LogEntry] = field(default_factory=deque)
    busy: LogEntry | None = None
    aside: Aside | None = None

    def mark(self, now: float) -> StreamMark:
        """Returns what is to be saved of a stream that was set aside."""
        aside = self.aside
        assert aside is not None
        return StreamMark(
            self.partition,
            self.key,
            aside.version,
            aside.position,
            aside.attempts,
            aside.error,
            max(0.0, aside.retry_at - now),
            aside.parked,
        )


@dataclass(slots=True)
class Partition:
    """A partition that the instance has.

    Attributes:
        number: Its number.
        epoch: The epoch of the grant.
        saved: The checkpoint as it was saved last.
        cursor: The log is read up to here.
        open: The positions of events that wait or are unanswered, in order.
        busy: How many are unanswered, those of streams set aside too.
        leaving: True when nothing more is delivered, since it goes to another instance.
    """

    number: int
    epoch: int
    saved: int
    cursor: int
    open: dict[int, None] = field(default_factory=dict)
    busy: int = 0
    leaving: bool = False

    @property
    def checkpoint(self) -> int:
        """All events up to here are dealt with, or belong to a stream that was set aside."""
        return next(iter(self.open)) - 1 if self.open else self.cursor


@dataclass(frozen=True, slots=True)
class StreamRead:
    """Asks for the next events of a stream that was set aside.

    Attributes:
        stream: The stream.
        after_version: They come after this version.
        cursor: How far the log was read when this was asked.
    """

    stream: Stream
    after_version: int
    cursor: int


@dataclass(frozen=True, slots=True)
class LogRead:
    """Asks for the next events of the log.

    Attributes:
        after: They come after this position.
        of: The partitions whose events are asked for.
    """

    after: int
    of: Sequence[Partition]

    @property
    def partitions(self) -> Sequence[int]:
        """The numbers of the partitions."""
        return [partition.number for partition in self.of]


class Delivered(NamedTuple):
    """An event on its way to the instance.

    Attributes:
        entry: The event.
        attempt: Which attempt this is, from 1 up.
    """

    entry: LogEntry
    attempt: int
