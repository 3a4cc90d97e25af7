"""Following the log: catching up, then waiting for more, with positions that resume."""

from __future__ import annotations

import asyncio

import pytest
from intent.store import EventStore, LogFilter, MemoryEventStore
from intent.store.postgres import PostgresEventStore

from .builders import ACME, GLOBEX, fill, key, positions, to
from .following import follow_log


class SubscriptionContract:
    async def test_it_ends_at_the_end_of_the_log_when_it_does_not_follow(self, store: EventStore) -> None:
        await fill(store, 10)
        pages = [page async for page in follow_log(store, 0, follow=False, page_size=4)]
        assert [positions(page.entries) for page in pages] == [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10]]
        assert [page.position for page in pages] == [4, 8, 10]

    async def test_a_full_last_page_is_followed_by_an_empty_one(self, store: EventStore) -> None:
        await fill(store, 4)
        pages = [page async for page in follow_log(store, 0, follow=False, page_size=2)]
        assert [(positions(page.entries), page.position) for page in pages] == [
            ([1, 2], 2),
            ([3, 4], 4),
            ([], 4),
        ]

    async def test_the_position_passes_what_the_filter_excludes(self, store: EventStore) -> None:
        await store.append([to(key("a")), to(key("b", GLOBEX)), to(key("c")), to(key("d", GLOBEX))])
        (page,) = [p async for p in follow_log(store, 0, LogFilter(tenant=ACME), follow=False)]
        assert (positions(page.entries), page.position) == ([1, 3], 4)

    async def test_it_resumes_from_any_position_that_it_yielded(self, store: EventStore) -> None:
        await fill(store, 7)
        only = LogFilter(aggregate_type="Order")
        pages = [page async for page in follow_log(store, 0, only, follow=False, page_size=3)]
        for page in pages:
            rest = [p async for p in follow_log(store, page.position, only, follow=False)]
            assert positions([entry for p in rest for entry in p.entries]) == list(
                range(page.position + 1, 8)
            )

    async def test_it_continues_with_each_new_entry_until_its_reader_leaves(self, store: EventStore) -> None:
        read: list[int] = []

        async def reader() -> None:
            async for page in follow_log(store, 2):
                read.extend(positions(page.entries))
                if read and read[-1] == 6:
                    return

        async with asyncio.timeout(30), asyncio.TaskGroup() as group:
            await fill(store, 3)
            group.create_task(reader())
            for n in range(3):
                await store.append([to(key(f"new-{n}"))])
        assert read == [3, 4, 5, 6]

    async def test_it_yields_at_intervals_although_nothing_is_appended(self, store: EventStore) -> None:
        await fill(store, 1)
        pages = follow_log(store, 0, pause=0.01)
        positions = [(await anext(pages)).position for _ in range(4)]
        assert positions == [1, 1, 1, 1]


class TestMemory(SubscriptionContract):
    @pytest.fixture
    def store(self) -> EventStore:
        return MemoryEventStore()


class TestPostgres(SubscriptionContract):
    @pytest.fixture
    def store(self, postgres_store: PostgresEventStore) -> EventStore:
        return postgres_store
