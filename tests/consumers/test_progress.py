"""What one instance is given and when, one story at a time."""

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


def progress(*entries: LogEntry, policy: DeliveryPolicy = POLICY) -> Progress:
    """A progress that has the only partition and has read these."""
    made = Progress(1, policy, [WANTED])
    made.claim(Grant(0, 1, 0), [], 0.0)
    take(made, *entries)
    return made


def take(books: Progress, *entries: LogEntry) -> None:
    """Reads these in the log, and the log up to the last of them."""
    asked = books.log_read()
    assert asked is not None
    books.take(asked, entries, max((e.position for e in entries), default=0))


def delivered(books: Progress, now: float = 0.0) -> list[tuple[int, int]]:
    """All that can be delivered now: positions and attempts."""
    found = []
    while (sent := books.next(now)) is not None:
        found.append((sent.entry.position, sent.attempt))
    return found


def checkpoint(books: Progress) -> int:
    (mark,) = books.changes(0.0).partitions
    return mark.checkpoint


def test_one_event_of_a_stream_at_a_time_and_of_others_meanwhile() -> None:
    books = progress(entry(1, TEA, 1), entry(2, TEA, 2), entry(3, SUGAR, 1))
    assert delivered(books) == [(1, 1), (3, 1)]
    books.acknowledge(1)
    assert delivered(books) == [(2, 1)]


def test_the_checkpoint_stays_below_what_is_not_acknowledged() -> None:
    books = progress(entry(1, SUGAR, 1), entry(2, TEA, 1), entry(3, SUGAR, 2, UNWANTED))
    delivered(books)
    assert books.acknowledge(2)
    assert not books.changes(0.0)
    books.acknowledge(1)
    assert checkpoint(books) == 3


def test_a_failed_event_is_tried_again_later_each_time() -> None:
    books = progress(entry(1, TEA, 1))
    delivered(books)
    books.fail(1, "no", now=100.0)
    assert delivered(books, now=101.9) == []
    assert books.wake_at() == 102.0
    assert delivered(books, now=102.0) == [(1, 2)]
    books.fail(1, "no", now=200.0)
    assert delivered(books, now=203.9) == []
    assert delivered(books, now=204.0) == [(1, 3)]


def test_after_the_last_attempt_the_stream_is_parked_and_others_go_on() -> None:
    policy = DeliveryPolicy(1, lambda attempts: 1.0)
    books = progress(entry(1, TEA, 1), entry(2, TEA, 2), entry(3, SUGAR, 1), policy=policy)
    delivered(books)
    books.fail(1, "no stock", now=0.0)
    books.acknowledge(3)
    take(books, entry(4, TEA, 3), entry(5, SUGAR, 2))
    assert delivered(books, now=1e9) == [(5, 1)]
    books.acknowledge(5)
    changes = books.changes(0.0)
    (mark,) = changes.streams
    assert (mark.key, mark.position, mark.attempts, mark.error, mark.parked) == (TEA, 1, 1, "no stock", True)
    assert changes.partitions[0].checkpoint == 5


def test_a_stream_that_is_well_again_catches_up_and_then_comes_with_the_log() -> None:
    books = progress(entry(1, TEA, 1))
    delivered(books)
    books.fail(1, "no", now=0.0)
    take(books, entry(2, TEA, 2))
    assert delivered(books, now=9.0) == [(1, 2)]
    books.acknowledge(1)
    asked = books.reads()
    assert asked is not None
    assert (asked.stream.key, asked.after_version) == (TEA, 1)
    # Recorded and passed over while the stream was being read.
    take(books, entry(3, TEA, 3))
    books.read(asked, [entry(2, TEA, 2)], whole=True)
    assert delivered(books) == [(2, 1)]
    books.acknowledge(2)
    again = books.reads()
    assert again is not None
    books.read(again, [entry(3, TEA, 3)], whole=True)
    assert delivered(books) == [(3, 1)]
    books.acknowledge(3)
    assert books.changes(0.0).rejoined == [(0, TEA)]
    take(books, entry(4, TEA, 4))
    assert delivered(books) == [(4, 1)]


def test_an_event_that_takes_long_holds_up_only_its_stream() -> None:
    books = progress(entry(1, TEA, 1), entry(2, SUGAR, 1))
    delivered(books, now=5.0)
    books.acknowledge(2)
    books.set_slow_aside(14.9)
    assert not books.changes(0.0)
    books.set_slow_aside(15.0)
    changes = books.changes(0.0)
    assert [(mark.key, mark.position, mark.attempts) for mark in changes.streams] == [(TEA, 1, 0)]
    assert changes.partitions[0].checkpoint == 2
    books.acknowledge(1)
    assert books.changes(0.0).rejoined == [(0, TEA)]


def test_a_long_stream_does_not_fill_the_memory() -> None:
    books = progress(*(entry(n, TEA, n) for n in range(1, 50)), entry(50, SUGAR, 1))
    assert books.waiting == 3
    assert delivered(books) == [(1, 1), (50, 1)]


def test_a_partition_is_released_once_all_is_answered() -> None:
    books = progress(entry(1, TEA, 1), entry(2, SUGAR, 1), entry(3, SUGAR, 2))
    delivered(books)
    books.retire(books.surplus(1))
    books.acknowledge(2)
    assert delivered(books) == []
    assert not books.urgent
    books.acknowledge(1)
    changes = books.changes(0.0)
    assert [(mark.checkpoint, mark.release) for mark in changes.partitions] == [(2, True)]
    books.saved(changes)
    assert books.held == frozenset()


def test_partitions_are_spread_evenly_and_never_change() -> None:
    keys = [StreamKey("acme", "Order", f"o-{n}") for n in range(1600)]
    counts = [sum(partition_of(key, 16) == p for key in keys) for p in range(16)]
    assert min(counts) > 60
    assert [partition_of(key, 16) for key in keys[:6]] == [6, 13, 13, 2, 13, 0]


def test_what_was_read_before_a_partition_came_is_not_taken_for_it() -> None:
    books = Progress(2, POLICY, [WANTED])
    here, there = (partition_of(key, 2) for key in (TEA, OTHER))
    assert here != there
    books.claim(Grant(here, 1, 10), [], 0.0)
    asked = books.log_read()
    assert asked is not None
    books.claim(Grant(there, 1, 0), [], 0.0)
    books.take(asked, [entry(11, TEA, 1)], 20)
    assert books.cursor == 0
    take(books, entry(5, OTHER, 1), entry(11, TEA, 1))
    assert delivered(books) == [(11, 1), (5, 1)]


def test_a_stream_that_is_parked_while_the_rows_are_read_stays_parked() -> None:
    """The row of the attempt before says nothing of an operator, though it is not parked."""
    policy = DeliveryPolicy(2, lambda attempts: 1.0)
    books = progress(entry(1, TEA, 1), policy=policy)
    delivered(books)
    books.fail(1, "no", now=0.0)
    (before,) = books.changes(0.0).streams
    parked = books.parked
    delivered(books, now=1.0)
    books.fail(1, "no", now=1.0)
    books.unpark([before], parked, 1.0)
    assert delivered(books, now=99.0) == []
    (mark,) = books.changes(1.0).streams
    assert (mark.parked, mark.attempts) == (True, 2)
    books.unpark([before], books.parked, 2.0)
    assert books.reads() is not None
