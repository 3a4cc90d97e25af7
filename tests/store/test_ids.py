"""Ids of events and commands: valid UUIDs of version 7 that grow within a process."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from uuid import RFC_4122, UUID

import pytest
from intent.ids import new_id


def test_an_id_is_a_uuid_of_version_7_that_holds_the_time() -> None:
    before = time.time_ns() // 1_000_000
    made = new_id()
    assert (made.version, made.variant) == (7, RFC_4122)
    assert before <= made.int >> 80 <= time.time_ns() // 1_000_000
    assert UUID(str(made)) == made


def test_ids_grow_and_none_is_given_twice() -> None:
    made = [new_id() for _ in range(50_000)]
    assert made == sorted(set(made))


def test_ids_grow_even_when_the_clock_is_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    first = new_id()
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    assert first < new_id() < new_id()


def test_threads_never_share_an_id() -> None:
    with ThreadPoolExecutor(4) as threads:
        made = [
            id_ for ids in threads.map(lambda _: [new_id() for _ in range(5_000)], range(4)) for id_ in ids
        ]
    assert len(set(made)) == len(made)
