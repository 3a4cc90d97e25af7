"""Many subscriptions: they share what they read, and none holds much for a reader that is slow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any

import grpc
import pytest
import pytest_asyncio
from intent.background import Background
from intent.records import LogEntry
from intent.service.servicers import events
from intent.service.servicers.held_pages import HeldPage, HeldPages
from intent.store import CommandWrite, LogFilter, LogFollower, LogTail, subscription
from intent.store.postgres import PostgresEventStore
from intent_contracts.intent.v1 import SubscribeRequest, SubscribeResponse
from intent_contracts.orders.v1 import OrderPlaced

from ..store.builders import ACME, GLOBEX, command, event, key, positions, to
from .support import served
from .test_events import opened


class Counted:
    """Counts the reads of a store."""

    def __init__(self, store: PostgresEventStore, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[str] = []
        for name in ("read_log", "read_stream", "position"):
            monkeypatch.setattr(store, name, self._counting(name, getattr(store, name)))

    def _counting(self, name: str, inner: Any) -> Any:
        async def counted(*arguments: Any, **named: Any) -> Any:
            # The tail, which reads for all, has no filter.
            self.calls.append(name if name != "read_log" or len(arguments) < 3 else "read_log filtered")
            return await inner(*arguments, **named)

        return counted


@pytest_asyncio.fixture
async def tail(postgres_store: PostgresEventStore) -> AsyncIterator[LogTail]:
    tail = LogTail(postgres_store, Background())
    async with tail.followed():
        yield tail
    await tail.stop()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110 - nothing signals when it holds
            await asyncio.sleep(0.01)


async def follow(follower: LogFollower, seen: list[int]) -> None:
    while (page := await follower.next()) is not None:
        seen += positions(page.entries)


async def test_an_append_wakes_only_the_subscriptions_whose_filter_it_passes(
    postgres_store: PostgresEventStore, tail: LogTail, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = Counted(postgres_store, monkeypatch)
    wheres = [LogFilter(f"idle-{n}") for n in range(50)]
    wheres += [
        LogFilter(ACME, types=("none",)),
        LogFilter(ACME),
        LogFilter(),
        LogFilter(ACME, (), "Order", "o-3"),
    ]
    seen: list[list[int]] = [[] for _ in wheres]
    async with asyncio.TaskGroup() as group:
        following = [
            group.create_task(follow(LogFollower(postgres_store, tail, 0, where), own))
            for where, own in zip(wheres, seen, strict=True)
        ]
        await postgres_store.append([to(key("before")), to(key("before", GLOBEX))])
        await until(lambda: len(seen[-2]) == 2)
        # All of them wait by now.
        await postgres_store.append([to(key("another", GLOBEX))])
        await until(lambda: len(seen[-2]) == 3)
        del counted.calls[:]
        for n in range(10):
            await postgres_store.append([to(key(f"o-{n}")), to(key(f"o-{n}", GLOBEX))])
        await until(lambda: len(seen[-2]) == 23)
        for task in following:
            task.cancel()
    # One reads for all, and finds nothing more before it waits.
    assert len(counted.calls) <= 2 * 10 + 5
    assert not any(seen[:51])
    assert seen[-3] == [1, *range(4, 24, 2)]
    assert seen[-2] == list(range(1, 24))
    assert seen[-1] == [10]


async def test_a_subscription_that_falls_behind_what_is_kept_misses_nothing(
    postgres_store: PostgresEventStore, tail: LogTail, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("intent.store.log_tail._KEPT_BYTES", 2000)
    follower = LogFollower(postgres_store, tail, 0, LogFilter(ACME))
    seen: list[int] = []
    for round_ in range(6):
        streams = [to(key(f"o-{round_}-{n}", (ACME, GLOBEX)[n % 2])) for n in range(10 * round_ + 1)]
        await postgres_store.append(streams)
        while len(seen) < sum(5 * r + 1 for r in range(round_ + 1)):
            page = await follower.next()
            assert page is not None
            seen += positions(page.entries)
    log = await postgres_store.read_log(0, 1000)
    assert seen == [entry.position for entry in log if entry.tenant == ACME]


async def test_a_filter_that_little_passes_is_read_in_steps_that_say_how_far_they_are(
    postgres_store: PostgresEventStore, tail: LogTail, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscription, "_SPAN", 20)
    monkeypatch.setattr(subscription, "_LONGEST_SPAN", 20)
    await postgres_store.append([to(key(f"o-{n}")) for n in range(90)])
    await postgres_store.append([to(key("rare"), 0, command([event(kind="rare")]))])
    for where in (LogFilter(ACME, types=("rare",)), LogFilter(types=("rare",))):
        follower = LogFollower(postgres_store, tail, 0, where, follow=False)
        pages = []
        while (page := await follower.next()) is not None:
            pages.append((positions(page.entries), page.position))
        assert pages == [([], 20), ([], 40), ([], 60), ([], 80), ([91], 91)]


async def test_one_aggregate_is_followed_by_its_versions(
    postgres_store: PostgresEventStore, tail: LogTail, monkeypatch: pytest.MonkeyPatch
) -> None:
    await postgres_store.append([to(key("o-1"), 0, *(command(1) for _ in range(30)))])
    counted = Counted(postgres_store, monkeypatch)
    only = LogFilter(ACME, (), "Order", "o-1")
    follower = LogFollower(postgres_store, tail, 10, only, page_size=5, pause=0.01)
    seen: list[int] = []
    for n in range(4):
        while len(seen) < 20 + n:
            page = await follower.next()
            assert page is not None
            seen += positions(page.entries)
        await postgres_store.append([to(key("o-1"), 30 + n, command(1))])
    assert seen == list(range(11, 34))
    # Where its position is among its versions is looked up once, which reads the stream from its start.
    assert counted.calls.count("read_log filtered") == 1


def entry(log: Sequence[LogEntry], size: int) -> LogEntry:
    return log[0]._replace(data=bytes(size))


async def test_what_waited_longest_is_given_up_when_too_much_is_held(
    postgres_store: PostgresEventStore,
) -> None:
    await postgres_store.append([to(key("o-1"))])
    log = await postgres_store.read_log(0, 1)
    held = HeldPages(10_000)
    slow = held.hold([entry(log, 2000)] * 2)
    assert slow.take() is not None
    quick = held.hold([entry(log, 2000)] * 2)
    assert (slow.lost, quick.lost) == (False, False)
    last = held.hold([entry(log, 2000)] * 2)
    assert slow.take() is None
    assert (slow.lost, quick.lost, last.lost) == (True, False, False)
    for page in (slow, quick, last):
        page.release()
    assert held.bytes == 0


async def test_slow_readers_get_everything_although_little_is_held_for_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(events, "_HELD_BYTES", 3000)
    large = "x" * 10_000
    given_up = HeldPage.give_up
    rest_given_up = []

    def counted(page: HeldPage) -> None:
        given_up(page)
        rest_given_up.append(page.lost)

    monkeypatch.setattr(HeldPage, "give_up", counted)
    async with served() as orders, AsyncExitStack() as stack:
        await orders.store.append([to(key(f"o-{n}"), 0, placed(large)) for n in range(60)])
        streams = [
            await stack.enter_async_context(opened(orders, SubscribeRequest(follow=False))) for _ in range(3)
        ]
        for stream in streams:
            await stream.read()
        for stream in streams:
            rest = []
            while (data := await stream.read()) is not grpc.aio.EOF:
                rest.append(SubscribeResponse.FromString(data).position)
            assert rest == list(range(2, 61))
    assert any(rest_given_up)


def placed(customer: str) -> CommandWrite:
    data = OrderPlaced(customer_id=customer).SerializeToString()
    return command([event(data, schema_version=2)])
