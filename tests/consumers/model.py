"""A log, the saved state of a consumer, and instances that come and go: in memory, for property tests."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from uuid import uuid4

from intent.consumers.changes import Changes, Grant, StreamMark
from intent.consumers.keys import partition_of
from intent.consumers.progress import Progress
from intent.consumers.settings import DeliveryPolicy
from intent.records import LogEntry, StreamKey

TOTAL = 3
ATTEMPTS = 2
WANTED = "orders.v1.Wanted"
ADDED = "orders.v1.Added"
"""What only some instances handle."""
UNWANTED = "orders.v1.Unwanted"


def entry(position: int, key: StreamKey, version: int, kind: str = WANTED) -> LogEntry:
    now = datetime.now(UTC)
    ids, data = (uuid4(), uuid4()), bytes(position % 4)
    return LogEntry(position, *key, version, ids[0], kind, 1, data, ids[1], "", "", "", "", now)


def key_of(item: LogEntry) -> StreamKey:
    return StreamKey(item.tenant, item.aggregate_type, item.aggregate_id)


@dataclass
class Saved:
    """What a database stores of a consumer; asserts what must always hold.

    Attributes:
        handled: The positions that were acknowledged or dropped, by any instance or operator.
        settled: Those that were acknowledged to an owner which has released their partition since.
    """

    log: list[LogEntry] = field(default_factory=list)
    checkpoints: list[int] = field(default_factory=lambda: [0] * TOTAL)
    epochs: list[int] = field(default_factory=lambda: [0] * TOTAL)
    owners: list[int | None] = field(default_factory=lambda: [None] * TOTAL)
    set_aside: dict[StreamKey, StreamMark] = field(default_factory=dict)
    dropped: set[int] = field(default_factory=set)
    handled: set[int] = field(default_factory=set)
    settled: set[int] = field(default_factory=set)

    def append(self, key: StreamKey, kind: str) -> None:
        version = 1 + sum(key_of(e) == key for e in self.log)
        self.log.append(entry(len(self.log) + 1, key, version, kind))

    def grant(self, partition: int, owner: int) -> tuple[Grant, list[StreamMark]]:
        self.owners[partition] = owner
        self.epochs[partition] += 1
        grant = Grant(partition, self.epochs[partition], self.checkpoints[partition])
        return grant, [self._with_drops(m) for m in self.set_aside.values() if m.partition == partition]

    def save(self, owner: int, changes: Changes) -> bool:
        for mark in changes.partitions:
            if self.owners[mark.partition] != owner or self.epochs[mark.partition] != mark.epoch:
                return False
        affected = {mark.partition for mark in changes.partitions}
        for mark in changes.partitions:
            assert mark.checkpoint >= self.checkpoints[mark.partition], "a checkpoint moves backwards"
            self.checkpoints[mark.partition] = mark.checkpoint
            if mark.release:
                self.owners[mark.partition] = None
        for stream in changes.streams:
            assert stream.partition in affected
            self.set_aside[stream.key] = stream
        for partition, key in changes.rejoined:
            assert partition in affected
            self.set_aside.pop(key, None)
        self.check()
        return True

    def check(self) -> None:
        """Assert that an instance that takes over would miss no event that is not handled."""
        for item in self.log:
            key = key_of(item)
            if item.type == UNWANTED or item.position in self.handled:
                continue
            above = item.position > self.checkpoints[partition_of(key, TOTAL)]
            kept = key in self.set_aside and item.version >= self.set_aside[key].version
            assert above or kept, f"{item.position} would be missed"

    def stream(self, key: StreamKey, after_version: int) -> list[LogEntry]:
        return [e for e in self.log if key_of(e) == key and e.version > after_version]

    def replay(self, key: StreamKey) -> None:
        self.set_aside[key] = replace(self.set_aside[key], parked=False, attempts=0, retry_in=0.0)

    def drop(self, key: StreamKey) -> int:
        """Drop the first parked event of a stream that is not dropped yet."""
        mark = self.set_aside[key]
        item = next(e for e in self.stream(key, mark.version - 1) if e.position not in self.dropped)
        self.dropped.add(item.position)
        self.handled.add(item.position)
        if item.position == mark.position:
            beyond = replace(mark, version=item.version + 1, position=item.position + 1)
            self.set_aside[key] = replace(beyond, parked=False, attempts=0, retry_in=0.0)
        return item.position

    def _with_drops(self, mark: StreamMark) -> StreamMark:
        return replace(mark, dropped=frozenset(self.dropped))


class Instance:
    """One instance, with the deliveries that it has not answered."""

    def __init__(self, number: int, saved: Saved, wanted: Collection[str]) -> None:
        self.number = number
        self.wanted = wanted
        self.saved = saved
        self.pending_reads: list[Callable[[], None]] = []
        self.pending_looks: list[Callable[[], None]] = []
        self.acknowledged: set[tuple[int, int]] = set()
        policy = DeliveryPolicy(ATTEMPTS, lambda n: 5.0 * n, slow=8.0, stream_length=3, stream_bytes=4)
        self.progress = Progress(TOTAL, policy, wanted)
        self.progress.declare([WANTED, ADDED])
        self.held: dict[int, LogEntry] = {}

    def claim(self, partition: int, now: float) -> None:
        grant, set_aside = self.saved.grant(partition, self.number)
        self.progress.claim(grant, set_aside, now)

    def read(self, size: int) -> None:
        """Read more of the log, and of the streams that were set aside."""
        request = self.progress.log_read()
        if request is not None:
            page = self.saved.log[request.after : request.after + size]
            wanted = [e for e in page if partition_of(key_of(e), TOTAL) in request.partition_numbers]
            reached = request.after + len(page)
            self.pending_reads.append(partial(self.progress.take_log, request, wanted, reached))
        while (stream := self.progress.stream_read()) is not None:
            entries = self.saved.stream(stream.stream.key, stream.after_version)
            whole = len(entries) <= size
            self.pending_reads.append(partial(self.progress.take_stream, stream, entries[:size], whole))

    def finish_reads(self) -> None:
        """Pass on what was read, which may be old by now."""
        pending, self.pending_reads = self.pending_reads, []
        for finish in pending:
            finish()

    def deliver(self, now: float) -> LogEntry | None:
        delivered = self.progress.next(now)
        if delivered is None:
            return None
        item = delivered.entry
        assert 1 <= delivered.attempt <= ATTEMPTS
        assert item.type in self.wanted
        assert item.position not in self.saved.dropped
        assert self._of_epoch(item) not in self.acknowledged, "an acknowledged event is delivered again"
        assert item.position not in self.saved.settled, "an event is repeated after its partition's release"
        assert all(key_of(e) != key_of(item) for e in self.held.values()), "two of one stream at once"
        behind = [e for e in self.saved.stream(key_of(item), 0) if e.version < item.version]
        late = [e.position for e in behind if e.type != UNWANTED and e.position not in self.saved.handled]
        assert late == [], f"{item.position} overtakes {late}"
        self.held[item.position] = item
        return item

    def answer(self, position: int, success: bool, now: float) -> None:
        item = self.held.pop(position)
        if success:
            self.acknowledged.add(self._of_epoch(item))
            self.saved.handled.add(position)
            assert self.progress.acknowledge(position)
        else:
            assert self.progress.fail(position, "no", now)

    def save(self, now: float, success: bool = True) -> None:
        self.finish_looks()
        changes = self.progress.changes(now)
        if success:
            assert self.saved.save(self.number, changes), "another instance owns its partitions"
            self.progress.saved(changes)
            released = {(mark.partition, mark.epoch) for mark in changes.partitions if mark.release}
            self.saved.settled |= {
                position
                for epoch, position in self.acknowledged
                if (partition_of(key_of(self.saved.log[position - 1]), TOTAL), epoch) in released
            }
        else:
            self.progress.not_saved(changes)

    def _of_epoch(self, item: LogEntry) -> tuple[int, int]:
        return self.saved.epochs[partition_of(key_of(item), TOTAL)], item.position

    def look(self, now: float) -> None:
        """Read what an operator did; an instance does not save before it has passed that on."""
        self.finish_looks()
        marks = [self.saved._with_drops(m) for m in self.saved.set_aside.values()]
        self.pending_looks.append(partial(self.progress.unpark, marks, self.progress.parked, now))

    def finish_looks(self) -> None:
        """Pass on what an operator did, which may be old by now."""
        pending, self.pending_looks = self.pending_looks, []
        for finish in pending:
            finish()


def partitions_of(saved: Saved, owners: Collection[int | None]) -> Sequence[int]:
    return [p for p in range(TOTAL) if saved.owners[p] in owners]
