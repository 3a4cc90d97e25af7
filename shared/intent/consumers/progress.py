"""What one instance of a consumer is to get, has got and has dealt with.

The progress does no input or output: it is told of events, answers and grants, and tells what to
deliver and what to save. What it says must be saved covers all that is not dealt with: an event
is above its partition's checkpoint, or in a stream that was set aside at or before it. So
whoever takes over from what was saved misses nothing.

A stream is set aside when an event of it fails, when an answer takes long, or when too many of
its events wait. From then on the checkpoint goes on without it; its events are read from the
stream itself until it has caught up with the log.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Collection, Iterable, Sequence
from itertools import count

from intent.consumers.changes import Changes, Grant, PartitionMark, StreamMark
from intent.consumers.keys import partition_of
from intent.consumers.settings import DeliveryPolicy
from intent.consumers.streams import Aside, Delivered, LogRead, Partition, Stream, StreamRead
from intent.records import LogEntry, StreamKey

__all__ = ["Progress"]


class Progress:
    """Keeps the books of one instance.

    Args:
        total: How many partitions the consumer has.
        policy: When an event is tried again.
        wanted: Full names of the events that are delivered; empty: all.
    """

    def __init__(self, total: int, policy: DeliveryPolicy, wanted: Collection[str] = ()) -> None:
        self.total = total
        self._policy = policy
        self._wanted = frozenset(wanted)
        self._partitions: dict[int, Partition] = {}
        self._streams: dict[StreamKey, Stream] = {}
        self._ready: deque[Stream] = deque()
        self._later: list[tuple[float, int, Stream]] = []
        self._numbers = count()
        self._unread: dict[StreamKey, Stream] = {}
        self._unanswered: dict[int, tuple[Stream, float]] = {}
        self._unsaved: dict[StreamKey, int] = {}
        self.waiting = 0
        """How many events wait in memory."""

    @property
    def partitions(self) -> Sequence[int]:
        """The partitions that are worked on, sorted."""
        return sorted(p.number for p in self._partitions.values() if not p.leaving)

    @property
    def held(self) -> frozenset[int]:
        """The partitions that the instance has, those that it is giving up too."""
        return frozenset(self._partitions)

    @property
    def unanswered(self) -> int:
        """How many deliveries are unanswered."""
        return len(self._unanswered)

    @property
    def cursor(self) -> int | None:
        """The position after which the log is to be read on; None when nothing is to be read."""
        return min((p.cursor for p in self._partitions.values() if not p.leaving), default=None)

    def log_read(self) -> LogRead | None:
        """Returns the next reading of the log, to be answered by `take`; None: nothing is to be read."""
        after = self.cursor
        if after is None:
            return None
        return LogRead(after, [p for p in self._partitions.values() if not p.leaving])

    @property
    def urgent(self) -> bool:
        """Whether something must be saved at once: a stream was set aside, or is no longer."""
        return bool(self._unsaved) or any(p.leaving and not p.busy for p in self._partitions.values())

    @property
    def parked(self) -> frozenset[StreamKey]:
        """The streams that were saved as parked, so that an operator may have done something about them."""
        return frozenset(
            key
            for key, stream in self._streams.items()
            if stream.aside is not None and stream.aside.parked and key not in self._unsaved
        )

    def claim(self, grant: Grant, aside: Iterable[StreamMark], now: float) -> None:
        """Takes up a partition where it was left.

        Args:
            grant: The partition.
            aside: Its streams that were set aside.
            now: The time.
        """
        number = grant.partition
        self._partitions[number] = Partition(number, grant.epoch, grant.checkpoint, grant.checkpoint)
        for mark in aside:
            stream = Stream(mark.key, number, aside=Aside.of(mark, grant.checkpoint, now))
            self._streams[mark.key] = stream
            self._go_on(stream)

    def retire(self, numbers: Iterable[int]) -> None:
        """Delivers no more of these partitions; they are released once all is answered."""
        for number in numbers:
            self._partitions[number].leaving = True

    def surplus(self, count: int) -> Sequence[int]:
        """Returns so many partitions to be retired, those first of which least is unanswered."""
        staying = [p for p in self._partitions.values() if not p.leaving]
        staying.sort(key=lambda p: (p.busy, -p.number))
        return [p.number for p in staying[: max(0, count)]]

    def take(self, asked: LogRead, entries: Iterable[LogEntry], reached: int) -> None:
        """Takes what was read of the log.

        Args:
            asked: What was asked for; a partition that came since is not concerned.
            entries: Events, by position; those of other partitions are passed over.
            reached: The log was read up to here.
        """
        concerned = {p.number: p for p in asked.of if self._partitions.get(p.number) is p and not p.leaving}
        for entry in entries:
            key = StreamKey(entry.tenant, entry.aggregate_type, entry.aggregate_id)
            partition = concerned.get(partition_of(key, self.total))
            if partition is not None and entry.position > partition.cursor:
                self._arrive(key, partition, entry)
        for partition in concerned.values():
            partition.cursor = max(partition.cursor, reached)

    def next(self, now: float) -> Delivered | None:
        """Returns the next event to deliver, which then counts as unanswered; None: none for now."""
        while self._later and self._later[0][0] <= now:
            self._ready.append(heapq.heappop(self._later)[2])
        while self._ready:
            stream = self._ready.popleft()
            partition = self._partitions.get(stream.partition)
            if partition is None or partition.leaving or self._streams.get(stream.key) is not stream:
                continue
            entry = stream.busy = stream.waiting.popleft()
            self.waiting -= 1
            partition.busy += 1
            self._unanswered[entry.position] = stream, now
            return Delivered(entry, 1 + (stream.aside.attempts if stream.aside is not None else 0))
        return None

    def wake_at(self) -> float | None:
        """Returns when the next event may be tried again; None when no event waits for that."""
        return self._later[0][0] if self._later else None

    def acknowledge(self, position: int) -> bool:
        """Notes that an event was dealt with; False when it is not unanswered."""
        answered = self._answered(position)
        if answered is None:
            return False
        stream, entry = answered
        if stream.aside is not None:
            stream.aside.advance(entry)
            self._unsaved[stream.key] = stream.partition
        else:
            del self._partitions[stream.partition].open[position]
        self._go_on(stream)
        return True

    def fail(self, position: int, error: str, now: float) -> bool:
        """Notes that an event could not be dealt with; False when it is not unanswered."""
        answered = self._answered(position)
        if answered is None:
            return False
        stream, entry = answered
        stream.waiting.appendleft(entry)
        self.waiting += 1
        aside = stream.aside or self._set_aside(stream)
        aside.version, aside.position = entry.version, entry.position
        aside.attempts += 1
        aside.error = error
        self._unsaved[stream.key] = stream.partition
        if aside.attempts >= self._policy.attempts:
            aside.parked = True
            self._forget_waiting(stream)
        else:
            aside.retry_at = now + self._policy.backoff(aside.attempts)
            self._make_ready(stream)
        return True

    def unpark(self, marks: Iterable[StreamMark], parked: Collection[StreamKey], now: float) -> None:
        """Goes on with streams of which an operator said so; others stay as they are.

        Args:
            marks: What is saved of streams.
            parked: What `parked` was before that was read. A stream that was parked only since is
                not what an operator has seen.
            now: The time.
        """
        for mark in marks:
            stream = self._streams.get(mark.key)
            if mark.parked or mark.key not in parked or stream is None or stream.aside is None:
                continue
            stream.aside = Aside.of(mark, stream.aside.passed, now)
            self._go_on(stream)

    def set_slow_aside(self, now: float) -> None:
        """Sets streams aside whose event has been unanswered for long."""
        for stream, since in list(self._unanswered.values()):
            if now - since < self._policy.slow:
                break
            if stream.aside is None:
                self._set_aside(stream)

    def reads(self) -> StreamRead | None:
        """Returns the next reading of a stream that is to be done, to be answered by `read`."""
        while self._unread:
            key = next(iter(self._unread))
            stream = self._unread.pop(key)
            partition = self._partitions.get(stream.partition)
            if partition is not None and not partition.leaving and stream.aside is not None:
                return StreamRead(stream, stream.aside.version - 1, partition.cursor)
        return None

    def unread(self, asked: StreamRead) -> None:
        """Notes that a reading could not be done; it will be asked for again."""
        if self._streams.get(asked.stream.key) is asked.stream:
            self._unread[asked.stream.key] = asked.stream

    def read(self, asked: StreamRead, entries: Sequence[LogEntry], whole: bool) -> None:
        """Takes what was read of a stream.

        Args:
            asked: What was asked for.
            entries: The events, by version.
            whole: True when there were no more.
        """
        stream, aside = asked.stream, asked.stream.aside
        partition = self._partitions.get(stream.partition)
        if partition is None or aside is None or self._streams.get(stream.key) is not stream:
            return
        # What is beyond comes with the log.
        taken = [entry for entry in entries if entry.position <= partition.cursor]
        last = taken[-1].position if taken else 0
        reached = asked.cursor if whole or len(taken) < len(entries) else 0
        aside.known = max(aside.known, last, reached)
        wanted = [e for e in taken if self._wants(e) and e.position not in aside.dropped]
        if taken and not wanted:
            aside.advance(taken[-1])
            self._unsaved[stream.key] = stream.partition
        stream.waiting.extend(wanted)
        self.waiting += len(wanted)
        self._go_on(stream)

    def changes(self, now: float) -> Changes:
        """Returns what is to be saved; `saved` or `not_saved` must follow."""
        streams, rejoined = [], []
        for key, number in self._unsaved.items():
            stream = self._streams.get(key)
            if stream is not None and stream.aside is not None:
                streams.append(stream.mark(now))
            else:
                rejoined.append((number, key))
        concerned = set(self._unsaved.values())
        self._unsaved = {}
        marks = [
            PartitionMark(p.number, p.epoch, p.checkpoint, p.leaving and not p.busy)
            for p in self._partitions.values()
            if p.checkpoint > p.saved or p.number in concerned or (p.leaving and not p.busy)
        ]
        return Changes(marks, streams, rejoined)

    def abandon(self) -> None:
        """Gives up everything: what is unanswered comes again, wherever the partitions go."""
        self._unanswered.clear()
        for partition in self._partitions.values():
            partition.leaving, partition.busy = True, 0

    def saved(self, changes: Changes) -> None:
        """Notes that changes were saved; released partitions are gone."""
        for mark in changes.partitions:
            self._partitions[mark.partition].saved = mark.checkpoint
        released = {mark.partition for mark in changes.partitions if mark.release}
        if released:
            self._forget(released)

    def not_saved(self, changes: Changes) -> None:
        """Notes that changes could not be saved; they are returned again."""
        for mark in changes.streams:
            self._unsaved.setdefault(mark.key, mark.partition)
        for number, key in changes.rejoined:
            self._unsaved.setdefault(key, number)

    def _wants(self, entry: LogEntry) -> bool:
        return not self._wanted or entry.type in self._wanted

    def _arrive(self, key: StreamKey, partition: Partition, entry: LogEntry) -> None:
        if not self._wants(entry):
            return
        stream = self._streams.get(key)
        if stream is None:
            stream = self._streams[key] = Stream(key, partition.number)
        if stream.aside is None and len(stream.waiting) >= self._policy.stream_length:
            self._set_aside(stream)
        if stream.aside is not None:
            stream.aside.passed = entry.position
            return
        partition.open[entry.position] = None
        stream.waiting.append(entry)
        self.waiting += 1
        if stream.busy is None and len(stream.waiting) == 1:
            self._ready.append(stream)

    def _answered(self, position: int) -> tuple[Stream, LogEntry] | None:
        found = self._unanswered.pop(position, None)
        if found is None:
            return None
        stream, entry = found[0], found[0].busy
        assert entry is not None
        stream.busy = None
        self._partitions[stream.partition].busy -= 1
        return stream, entry

    def _set_aside(self, stream: Stream) -> Aside:
        """Lets the checkpoint go on without a stream; its first event is unanswered or waits."""
        events = [*([stream.busy] if stream.busy is not None else []), *stream.waiting]
        partition = self._partitions[stream.partition]
        for entry in events:
            partition.open.pop(entry.position, None)
        first, last = events[0], events[-1]
        stream.aside = Aside(first.version, first.position, known=last.position, passed=last.position)
        self._unsaved[stream.key] = stream.partition
        return stream.aside

    def _go_on(self, stream: Stream) -> None:
        """Sees to what is next with a stream of which no event is unanswered."""
        aside = stream.aside
        if aside is not None and aside.parked:
            return
        if stream.waiting:
            self._make_ready(stream)
        elif aside is not None and not aside.caught_up:
            self._unread[stream.key] = stream
        elif self._streams.get(stream.key) is stream:
            del self._streams[stream.key]
            if aside is not None:
                self._unsaved[stream.key] = stream.partition

    def _make_ready(self, stream: Stream) -> None:
        aside = stream.aside
        if aside is not None and aside.retry_at:
            heapq.heappush(self._later, (aside.retry_at, next(self._numbers), stream))
        else:
            self._ready.append(stream)

    def _forget(self, partitions: Collection[int]) -> None:
        for number in partitions:
            del self._partitions[number]
        for key in [key for key, stream in self._streams.items() if stream.partition in partitions]:
            self._forget_waiting(self._streams.pop(key))
            self._unread.pop(key, None)
        self._unsaved = {key: number for key, number in self._unsaved.items() if number not in partitions}

    def _forget_waiting(self, stream: Stream) -> None:
        self.waiting -= len(stream.waiting)
        stream.waiting.clear()
