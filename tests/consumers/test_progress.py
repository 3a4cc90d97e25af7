"""What is delivered to one instance and when, one scenario at a time."""

from __future__ import annotations

from intent.consumers.changes import Grant
from intent.consumers.keys import partition_of
from intent.consumers.progress import Progress
from intent.consumers.settings import DeliveryPolicy
from intent.records import LogEntry, StreamKey

from .model import UNWANTED, WANTED, entry

TEA, SUGAR = StreamKey("acme", "Order", "tea"), StreamKey("acme", "Order", "sugar")
OTHER = StreamKey("acme", "Order", "coffee")
POLICY = DeliveryPolicy(3, lambda attempts: 2.0**attempts, slow=10.0, stream_length=2)


def started(*entries: LogEntry, policy: DeliveryPolicy = POLICY) -> Progress:
    """Return a progress that owns the only partition and has read these entries."""
    progress = Progress(1, policy, [WANTED])
    progress.claim(Grant(0, 1, 0), [], 0.0)
    take(progress, *entries)
    return progress


def take(progress: Progress, *entries: LogEntry) -> None:
    """Pass these entries on as read from the log, and the log as read up to the last of them."""
    request = progress.log_read()
    assert request is not None
    progress.take_log(request, entries, max((e.position for e in entries), default=0))


def delivered(progress: Progress, now: float = 0.0) -> list[tuple[int, int]]:
    """Return everything that can be delivered now: positions and attempts."""
    deliveries = []
    while (sent := progress.next(now)) is not None:
        deliveries.append((sent.entry.position, sent.attempt))
    return deliveries


def retried(progress: Progress, now: float, *stream: LogEntry) -> list[tuple[int, int]]:
    """Return what can be delivered now once a stream whose event failed was read again."""
    assert delivered(progress, now) == []
    request = progress.stream_read()
    assert request is not None
    progress.take_stream(request, [e for e in stream if e.version > request.after_version], whole=True)
    return delivered(progress, now)


def checkpoint(progress: Progress) -> int:
    (mark,) = progress.changes(0.0).partitions
    return mark.checkpoint


def test_one_event_of_a_stream_at_a_time_and_of_others_meanwhile() -> None:
    progress = started(entry(1, TEA, 1), entry(2, TEA, 2), entry(3, SUGAR, 1))
    assert delivered(progress) == [(1, 1), (3, 1)]
    progress.acknowledge(1)
    assert delivered(progress) == [(2, 1)]


def test_the_checkpoint_stays_below_what_is_not_acknowledged() -> None:
    progress = started(entry(1, SUGAR, 1), entry(2, TEA, 1), entry(3, SUGAR, 2, UNWANTED))
    delivered(progress)
    assert progress.acknowledge(2)
    assert not progress.changes(0.0)
    progress.acknowledge(1)
    assert checkpoint(progress) == 3


def test_a_failed_event_is_tried_again_later_each_time() -> None:
    event = entry(1, TEA, 1)
    progress = started(event)
    delivered(progress)
    progress.fail(1, "no", now=100.0)
    assert delivered(progress, now=101.9) == []
    assert progress.wake_at() == 102.0
    assert retried(progress, 102.0, event) == [(1, 2)]
    progress.fail(1, "no", now=200.0)
    assert delivered(progress, now=203.9) == []
    assert retried(progress, 204.0, event) == [(1, 3)]


def test_what_waits_for_another_attempt_or_behind_a_slow_event_keeps_no_memory() -> None:
    first, second = entry(1, TEA, 1), entry(2, TEA, 2)
    progress = started(first, second, entry(3, SUGAR, 1), entry(4, SUGAR, 2))
    assert delivered(progress) == [(1, 1), (3, 1)]
    progress.fail(1, "no", now=0.0)
    progress.set_slow_streams_aside(10.0)
    assert (progress.waiting.count, progress.waiting.bytes) == (0, 0)
    assert retried(progress, 12.0, first, second) == [(1, 2)]
    progress.acknowledge(1)
    assert delivered(progress) == [(2, 1)]
    progress.acknowledge(3)
    assert retried(progress, 12.0, entry(3, SUGAR, 1), entry(4, SUGAR, 2)) == [(4, 1)]


def test_a_stream_of_large_events_does_not_fill_the_memory() -> None:
    large = [entry(n, TEA, n)._replace(data=bytes(100)) for n in range(1, 50)]
    policy = DeliveryPolicy(3, lambda attempts: 1.0, stream_length=1000, stream_bytes=250)
    progress = started(*large, policy=policy)
    assert (progress.waiting.count, progress.waiting.bytes) == (3, 300)
    assert delivered(progress) == [(1, 1)]
    assert (progress.unanswered_bytes, progress.waiting.bytes) == (100, 200)
    for position in (1, 2, 3):
        progress.acknowledge(position)
        delivered(progress)
    assert progress.unanswered_bytes == 0
    assert retried(progress, 0.0, *large) == [(4, 1)]


def test_after_the_last_attempt_the_stream_is_parked_and_others_continue() -> None:
    policy = DeliveryPolicy(1, lambda attempts: 1.0)
    progress = started(entry(1, TEA, 1), entry(2, TEA, 2), entry(3, SUGAR, 1), policy=policy)
    delivered(progress)
    progress.fail(1, "no stock", now=0.0)
    progress.acknowledge(3)
    take(progress, entry(4, TEA, 3), entry(5, SUGAR, 2))
    assert delivered(progress, now=1e9) == [(5, 1)]
    progress.acknowledge(5)
    changes = progress.changes(0.0)
    (mark,) = changes.streams
    assert (mark.key, mark.position, mark.attempts, mark.error, mark.parked) == (TEA, 1, 1, "no stock", True)
    assert changes.partitions[0].checkpoint == 5


def test_a_stream_that_recovers_catches_up_and_then_rejoins_the_log() -> None:
    progress = started(entry(1, TEA, 1))
    delivered(progress)
    progress.fail(1, "no", now=0.0)
    assert retried(progress, 9.0, entry(1, TEA, 1)) == [(1, 2)]
    take(progress, entry(2, TEA, 2))
    progress.acknowledge(1)
    request = progress.stream_read()
    assert request is not None
    assert (request.stream.key, request.after_version) == (TEA, 1)
    # Recorded and skipped while the stream was being read.
    take(progress, entry(3, TEA, 3))
    progress.take_stream(request, [entry(2, TEA, 2)], whole=True)
    assert delivered(progress) == [(2, 1)]
    progress.acknowledge(2)
    again = progress.stream_read()
    assert again is not None
    progress.take_stream(again, [entry(3, TEA, 3)], whole=True)
    assert delivered(progress) == [(3, 1)]
    progress.acknowledge(3)
    assert progress.changes(0.0).rejoined == [(0, TEA)]
    take(progress, entry(4, TEA, 4))
    assert delivered(progress) == [(4, 1)]


def test_an_event_that_takes_long_blocks_only_its_stream() -> None:
    progress = started(entry(1, TEA, 1), entry(2, SUGAR, 1))
    delivered(progress, now=5.0)
    progress.acknowledge(2)
    progress.set_slow_streams_aside(14.9)
    assert not progress.changes(0.0)
    progress.set_slow_streams_aside(15.0)
    changes = progress.changes(0.0)
    assert [(mark.key, mark.position, mark.attempts) for mark in changes.streams] == [(TEA, 1, 0)]
    assert changes.partitions[0].checkpoint == 2
    progress.acknowledge(1)
    assert progress.changes(0.0).rejoined == [(0, TEA)]


def test_a_long_stream_does_not_fill_the_memory() -> None:
    progress = started(*(entry(n, TEA, n) for n in range(1, 50)), entry(50, SUGAR, 1))
    assert progress.waiting.count == 3
    assert delivered(progress) == [(1, 1), (50, 1)]


def test_a_partition_is_released_once_all_is_answered() -> None:
    progress = started(entry(1, TEA, 1), entry(2, SUGAR, 1), entry(3, SUGAR, 2))
    delivered(progress)
    progress.retire(progress.surplus(1))
    progress.acknowledge(2)
    assert delivered(progress) == []
    assert not progress.urgent
    progress.acknowledge(1)
    changes = progress.changes(0.0)
    assert [(mark.checkpoint, mark.release) for mark in changes.partitions] == [(2, True)]
    progress.saved(changes)
    assert progress.held == frozenset()


def test_partitions_are_spread_evenly_and_never_change() -> None:
    keys = [StreamKey("acme", "Order", f"o-{n}") for n in range(1600)]
    counts = [sum(partition_of(key, 16) == p for key in keys) for p in range(16)]
    assert min(counts) > 60
    assert [partition_of(key, 16) for key in keys[:6]] == [6, 13, 13, 2, 13, 0]


def test_what_was_read_before_a_partition_was_claimed_does_not_count_for_it() -> None:
    progress = Progress(2, POLICY, [WANTED])
    here, there = (partition_of(key, 2) for key in (TEA, OTHER))
    assert here != there
    progress.claim(Grant(here, 1, 10), [], 0.0)
    request = progress.log_read()
    assert request is not None
    progress.claim(Grant(there, 1, 0), [], 0.0)
    progress.take_log(request, [entry(11, TEA, 1)], 20)
    again = progress.log_read()
    assert again is not None
    assert again.after == 0
    take(progress, entry(5, OTHER, 1), entry(11, TEA, 1))
    assert delivered(progress) == [(11, 1), (5, 1)]


def test_a_stream_that_is_parked_while_the_rows_are_read_stays_parked() -> None:
    """The row of the previous attempt is not parked either, but not because an operator acted."""
    policy = DeliveryPolicy(2, lambda attempts: 1.0)
    progress = started(entry(1, TEA, 1), policy=policy)
    delivered(progress)
    progress.fail(1, "no", now=0.0)
    (before,) = progress.changes(0.0).streams
    parked = progress.parked
    assert retried(progress, 1.0, entry(1, TEA, 1)) == [(1, 2)]
    progress.fail(1, "no", now=1.0)
    progress.unpark([before], parked, 1.0)
    assert delivered(progress, now=99.0) == []
    (mark,) = progress.changes(1.0).streams
    assert (mark.parked, mark.attempts) == (True, 2)
    progress.unpark([before], progress.parked, 2.0)
    assert progress.stream_read() is not None
