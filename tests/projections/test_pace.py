"""How many events are read at once."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

from intent.projections.pace import Pace
from intent.records import LogEntry


def page(events: int, weight: int) -> list[LogEntry]:
    """Return a page of events of `weight` bytes each."""
    entry = LogEntry(
        *(1, "acme", "Order", "o-1", 1, uuid4(), "orders.v1.OrderPlaced", 2, bytes(weight), uuid4()),
        *("", "", "", "", datetime.now(UTC)),
    )
    return [entry] * events


def sizes(pace: Pace, weight: int, pages: int = 6) -> list[int]:
    seen = []
    for _ in range(pages):
        seen.append(pace.size)
        pace.took(page(pace.size, weight))
    return seen


def test_pages_of_small_events_grow_to_the_longest() -> None:
    assert sizes(Pace(4_000), 300) == [256, 1_024, 4_000, 4_000, 4_000, 4_000]


def test_pages_of_large_events_stay_small() -> None:
    assert sizes(Pace(4_000), 256 * 1024)[1:] == [32] * 5


def test_pages_of_huge_events_still_have_one() -> None:
    pace = Pace(4_000)
    pace.took(page(1, 100 * 1024 * 1024))
    assert pace.size == 1


def test_a_page_that_was_too_large_is_halved_and_grows_again_slowly() -> None:
    pace = Pace(1_000)
    sizes(pace, 10)
    for _ in range(12):
        pace.failed()
    assert pace.size == 1
    assert sizes(pace, 10, 5) == [1, 2, 4, 8, 16]
