"""What one instance of a consumer has received and handled, and what it is to receive next.

The progress does no input or output: its owner passes it events, answers and grants, and asks it
what to deliver and what to save. What it asks to be saved covers every event that is not handled:
such an event is above its partition's checkpoint, or in a stream that was set aside at or before
it. So an instance that takes over from what was saved misses nothing. What is saved when a partition
is released also covers nothing that was acknowledged, so its next owner repeats nothing.

A stream is set aside when an event of it fails, when an answer takes long, when too many of its
events wait, or before an event that only other instances of the consumer handle. From then on the
partition's checkpoint moves on without it; its events are read from the stream itself until it has
caught up with the log.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from intent.consumers.changes import Changes, Grant, PartitionMark, StreamMark
from intent.consumers.event_types import EventTypes
from intent.consumers.keys import partition_of
from intent.consumers.settings import DeliveryPolicy
from intent.consumers.streams import (
    Delivered,
    LogRead,
    Partition,
    Stream,
    StreamCheckpoint,
    StreamRead,
    Turns,
    Waiting,
)
from intent.records import LogEntry, StreamKey

__all__ = ["Progress"]


class Progress:
    """Tracks the partitions, streams and unanswered deliveries of one instance.

    Args:
        total: How many partitions the consumer has.
        policy: When an event is tried again.
        wanted: Full names of the events that are delivered; empty: all.
    """

    def __init__(self, total: int, policy: DeliveryPolicy, wanted: Collection[str] = ()) -> None:
        self.total = total
        self._policy = policy
        self.types = EventTypes(wanted)
        self._partitions: dict[int, Partition] = {}
        self._streams: dict[StreamKey, Stream] = {}
        self._turns = Turns()
        self._unread: dict[StreamKey, Stream] = {}
        self._unanswered: dict[int, tuple[Stream, float]] = {}
        self._unsaved: dict[StreamKey, int] = {}
        self.waiting = Waiting()  # The events that wait in memory.
        self.unanswered_bytes = 0

    @property
    def partitions(self) -> Sequence[int]:
        """The partitions from which events are delivered, sorted."""
        return sorted(p.number for p in self._partitions.values() if not p.leaving)

    @property
    def held(self) -> frozenset[int]:
        """The partitions that the instance owns, including those that it is about to release."""
        return frozenset(self._partitions)

    @property
    def epochs(self) -> Mapping[int, int]:
        """The epochs in which the instance owns its partitions, by their numbers."""
        return {number: partition.epoch for number, partition in self._partitions.items()}

    @property
    def unanswered(self) -> int:
        """How many deliveries are unanswered."""
        return len(self._unanswered)

    def declare(self, types: Collection[str]) -> None:
        """Note which event types belong to the consumer, empty: all.

        One that is not wanted here holds its stream until another instance takes over.
        """
        streams = list(self._streams.values()) if self.types.declare(types) else []
        for stream in streams:
            if stream.checkpoint is not None and stream.checkpoint.held:
                stream.checkpoint.held = False
                self._schedule(stream)

    def log_read(self) -> LogRead | None:
        """Return the next read of the log, to be answered by `take_log`; None: nothing is to be read."""
        staying = [p for p in self._partitions.values() if not p.leaving]
        return LogRead(min(p.cursor for p in staying), staying) if staying else None

    @property
    def urgent(self) -> bool:
        """Whether something must be saved at once: a stream was set aside or rejoined, or a release."""
        return bool(self._unsaved) or any(p.released for p in self._partitions.values())

    @property
    def parked(self) -> frozenset[StreamKey]:
        """The streams that were saved as parked, so that an operator may have replayed or dropped them."""
        return frozenset(
            key
            for key, stream in self._streams.items()
            if stream.checkpoint is not None and stream.checkpoint.parked and key not in self._unsaved
        )

    def claim(self, grant: Grant, set_aside: Iterable[StreamMark], now: float) -> None:
        """Continue a partition where its last owner left it.

        Args:
            grant: The partition.
            set_aside: Its streams that were set aside.
            now: The time.
        """
        number = grant.partition
        self._partitions[number] = Partition(number, grant.epoch, grant.checkpoint, grant.checkpoint)
        for mark in set_aside:
            stream = Stream(mark.key, number, checkpoint=StreamCheckpoint.of(mark, grant.checkpoint, now))
            self._streams[mark.key] = stream
            self._schedule(stream)

    def retire(self, numbers: Iterable[int]) -> None:
        """Deliver nothing more from these partitions; they are released once everything is answered."""
        for number in numbers:
            self._partitions[number].leaving = True

    def surplus(self, count: int) -> Sequence[int]:
        """Return `count` partitions to retire, those with the fewest unanswered events first."""
        staying = [p for p in self._partitions.values() if not p.leaving]
        staying.sort(key=lambda p: (p.busy, -p.number))
        return [p.number for p in staying[: max(0, count)]]

    def take_log(self, request: LogRead, entries: Iterable[LogEntry], reached: int) -> None:
        """Accept what was read from the log.

        Args:
            request: The request that this answers; partitions claimed since then are not affected.
            entries: Events, by position; those of other partitions are ignored.
            reached: The log was read up to here.
        """
        affected = {
            p.number: p for p in request.partitions if self._partitions.get(p.number) is p and not p.leaving
        }
        for entry in entries:
            key = StreamKey(entry.tenant, entry.aggregate_type, entry.aggregate_id)
            partition = affected.get(partition_of(key, self.total))
            if partition is not None and entry.position > partition.cursor:
                self._enqueue(key, partition, entry)
        for partition in affected.values():
            partition.cursor = max(partition.cursor, reached)

    def next(self, now: float) -> Delivered | None:
        """Return the next event to deliver, which then counts as unanswered; None: none is due."""
        for stream in self._turns.due(now):
            if stream.waiting:
                self._turns.ready.append(stream)
            elif self._streams.get(stream.key) is stream:
                self._unread[stream.key] = stream
        while self._turns.ready:
            stream = self._turns.ready.popleft()
            partition = self._partitions.get(stream.partition)
            if partition is None or partition.leaving or self._streams.get(stream.key) is not stream:
                continue
            entry = stream.busy = self.waiting.take(stream)
            self.unanswered_bytes += len(entry.data)
            partition.busy += 1
            self._unanswered[entry.position] = stream, now
            return stream.delivered(entry)
        return None

    def wake_at(self) -> float | None:
        """Return when the next retry is due; None when no event waits for one."""
        return self._turns.next_retry

    def acknowledge(self, position: int) -> bool:
        """Record that an event was handled; return False when it was not unanswered."""
        answered = self._pop_unanswered(position)
        if answered is None:
            return False
        stream, entry = answered
        partition = self._partitions[stream.partition]
        partition.acknowledged = max(partition.acknowledged, position)
        if stream.checkpoint is not None:
            stream.checkpoint.advance(entry)
            self._unsaved[stream.key] = stream.partition
        else:
            del partition.open[position]
        self._schedule(stream)
        return True

    def fail(self, position: int, error: str, now: float, *, final: bool = False) -> bool:
        """Record that handling an event failed; return False when it was not unanswered.

        After a final failure, another attempt is futile until an operator replays the event.
        """
        answered = self._pop_unanswered(position)
        if answered is None:
            return False
        stream, entry = answered
        checkpoint = stream.checkpoint or self._set_aside(stream, entry)
        checkpoint.version, checkpoint.position = entry.version, entry.position
        checkpoint.attempts += 1
        checkpoint.error = error
        self.waiting.forget(stream)  # It is read again when it is due.
        checkpoint.known = entry.position - 1
        self._unsaved[stream.key] = stream.partition
        if final or checkpoint.attempts >= self._policy.attempts:
            checkpoint.parked = True
        else:
            checkpoint.retry_at = now + self._policy.backoff(checkpoint.attempts)
            self._turns.add(stream)
        return True

    def unpark(self, marks: Iterable[StreamMark], parked: Collection[StreamKey], now: float) -> None:
        """Resume the streams that an operator has replayed or dropped; others stay as they are.

        Args:
            marks: What is saved of streams.
            parked: What `parked` was before the marks were read. A stream that was parked since
                then is not what an operator has seen.
            now: The time.
        """
        for mark in marks:
            stream = self._streams.get(mark.key)
            if mark.parked or mark.key not in parked or stream is None or stream.checkpoint is None:
                continue
            stream.checkpoint = StreamCheckpoint.of(mark, stream.checkpoint.passed, now)
            self._schedule(stream)

    def set_slow_streams_aside(self, now: float) -> None:
        """Set aside the streams whose event has been unanswered for too long."""
        for stream, since in list(self._unanswered.values()):
            if now - since < self._policy.slow:
                break
            entry = stream.busy
            if stream.checkpoint is None and entry is not None:
                self._set_aside(stream).known = entry.position
                self.waiting.forget(stream)

    def stream_read(self) -> StreamRead | None:
        """Return the next read of a stream, to be answered by `take_stream`; None: there is none."""
        while self._unread:
            key = next(iter(self._unread))
            stream = self._unread.pop(key)
            partition = self._partitions.get(stream.partition)
            if partition is not None and not partition.leaving and stream.checkpoint is not None:
                return StreamRead(stream, stream.checkpoint.version - 1, partition.cursor)
        return None

    def stream_read_failed(self, request: StreamRead) -> None:
        """Record that a read failed; it will be requested again."""
        if self._streams.get(request.stream.key) is request.stream:
            self._unread[request.stream.key] = request.stream

    def take_stream(self, request: StreamRead, entries: Sequence[LogEntry], whole: bool) -> None:
        """Accept what was read from a stream.

        Args:
            request: The request that this answers.
            entries: The events, by version.
            whole: True when there were no more.
        """
        stream, checkpoint = request.stream, request.stream.checkpoint
        partition = self._partitions.get(stream.partition)
        if partition is None or checkpoint is None or self._streams.get(stream.key) is not stream:
            return
        # Later events arrive with the log.
        taken = [entry for entry in entries if entry.position <= partition.cursor]
        reached = request.cursor if whole or len(taken) < len(entries) else 0
        remaining = [e for e in taken if e.position not in checkpoint.dropped]
        foreign = next(filter(self.types.is_foreign, remaining), None)
        if foreign is not None:
            taken, reached = taken[: taken.index(foreign)], 0
            if not any(map(self.types.wants, taken)):
                self._hold(stream, checkpoint, foreign)
                return
        last = taken[-1].position if taken else 0
        checkpoint.known = max(checkpoint.known, last, reached)
        wanted = [e for e in taken if self.types.wants(e) and e.position not in checkpoint.dropped]
        if taken and not wanted:
            checkpoint.advance(taken[-1])
            self._unsaved[stream.key] = stream.partition
        for entry in wanted:
            self.waiting.put(stream, entry)
        self._schedule(stream)

    def changes(self, now: float) -> Changes:
        """Return what is to be saved; a call of `saved` or `not_saved` must follow."""
        streams, rejoined = [], []
        for partition in self._partitions.values():
            if partition.released:
                self._pass_acknowledged(partition)
        for key, number in self._unsaved.items():
            stream = self._streams.get(key)
            if stream is not None and stream.checkpoint is not None:
                streams.append(stream.mark(now))
            else:
                rejoined.append((number, key))
        affected = set(self._unsaved.values())
        self._unsaved = {}
        marks = [
            PartitionMark(p.number, p.epoch, p.checkpoint, p.released)
            for p in self._partitions.values()
            if p.checkpoint > p.saved or p.number in affected or p.released
        ]
        return Changes(marks, streams, rejoined)

    def abandon(self) -> Sequence[int]:
        """Give up all partitions; return what is unanswered, which their next owners deliver again."""
        unanswered = list(self._unanswered)
        self._unanswered.clear()
        self.unanswered_bytes = 0
        for partition in self._partitions.values():
            partition.leaving, partition.busy = True, 0
        return unanswered

    def saved(self, changes: Changes) -> None:
        """Record that changes were saved, and forget released partitions."""
        for mark in changes.partitions:
            self._partitions[mark.partition].saved = mark.checkpoint
        if released := {mark.partition for mark in changes.partitions if mark.release}:
            self._forget(released)

    def not_saved(self, changes: Changes) -> None:
        """Record that changes could not be saved; `changes` returns them again."""
        for mark in changes.streams:
            self._unsaved.setdefault(mark.key, mark.partition)
        for number, key in changes.rejoined:
            self._unsaved.setdefault(key, number)

    def _hold(self, stream: Stream, checkpoint: StreamCheckpoint, entry: LogEntry) -> None:
        checkpoint.hold(entry)
        self._unsaved[stream.key] = stream.partition

    def _enqueue(self, key: StreamKey, partition: Partition, entry: LogEntry) -> None:
        foreign = self.types.is_foreign(entry)
        if not foreign and not self.types.wants(entry):
            return
        stream = self._streams.get(key)
        if stream is None:
            stream = self._streams[key] = Stream(key, partition.number)
        too_long = self._policy.too_long(len(stream.waiting), stream.waiting_bytes)
        if stream.checkpoint is None and (too_long or (foreign and stream.unhandled)):
            self._set_aside(stream)
        if stream.checkpoint is not None:
            stream.checkpoint.passed = entry.position
            return
        if foreign:
            stream.checkpoint = StreamCheckpoint(entry.version, entry.position, 0, 0)
            self._hold(stream, stream.checkpoint, entry)
            return
        partition.open[entry.position] = stream
        self.waiting.put(stream, entry)
        if stream.busy is None and len(stream.waiting) == 1:
            self._turns.ready.append(stream)

    def _pop_unanswered(self, position: int) -> tuple[Stream, LogEntry] | None:
        delivery = self._unanswered.pop(position, None)
        if delivery is None:
            return None
        stream, entry = delivery[0], delivery[0].busy
        assert entry is not None
        stream.busy = None
        self.unanswered_bytes -= len(entry.data)
        self._partitions[stream.partition].busy -= 1
        return stream, entry

    def _set_aside(self, stream: Stream, *failed: LogEntry) -> StreamCheckpoint:
        self._unsaved[stream.key] = stream.partition
        return self._partitions[stream.partition].set_aside(stream, *failed)

    def _pass_acknowledged(self, partition: Partition) -> None:
        """Set aside the streams because of which the next owner would repeat what was acknowledged."""
        while partition.checkpoint < partition.acknowledged:
            self._set_aside(next(iter(partition.open.values())))

    def _schedule(self, stream: Stream) -> None:
        """Decide what a stream without an unanswered event needs next: a delivery, a read or nothing."""
        checkpoint = stream.checkpoint
        if checkpoint is not None and (checkpoint.parked or checkpoint.held):
            return
        if stream.waiting:
            self._turns.add(stream)
        elif checkpoint is not None and not checkpoint.caught_up:
            self._unread[stream.key] = stream
        elif self._streams.get(stream.key) is stream:
            del self._streams[stream.key]
            if checkpoint is not None:
                self._unsaved[stream.key] = stream.partition

    def _forget(self, partitions: Collection[int]) -> None:
        for number in partitions:
            del self._partitions[number]
        for key in [key for key, stream in self._streams.items() if stream.partition in partitions]:
            self.waiting.forget(self._streams.pop(key))
            self._unread.pop(key, None)
        self._unsaved = {key: number for key, number in self._unsaved.items() if number not in partitions}
