"""Notifications between processes, which whoever may connect can send: they wake, and say nothing else."""

from __future__ import annotations

import asyncio

import asyncpg
from intent.store.postgres import PostgresEventStore

from ..support.databases import Database
from .builders import key, positions, to
from .following import follow_log


async def test_a_position_that_somebody_notifies_moves_no_cursor(
    postgres_store: PostgresEventStore, database: Database
) -> None:
    stranger = await asyncpg.connect(database.query)
    pages = aiter(follow_log(postgres_store))
    await anext(pages)
    seen: list[int] = []
    try:
        async with asyncio.timeout(30):
            for number in range(1, 4):
                upcoming = asyncio.ensure_future(anext(pages))
                await asyncio.sleep(0)
                for claimed in ("1000", "9" * 5_000, "\u00b2", "", "-1"):
                    await stranger.execute("select pg_notify($1, $2)", f"intent_{database.context}", claimed)
                await postgres_store.append([to(key(f"o-{number}"))])
                page = await upcoming
                while not page.entries:
                    assert page.position < number
                    page = await anext(pages)
                seen += positions(page.entries)
                assert page.position == number
    finally:
        await stranger.close()
    assert seen == [1, 2, 3]
    assert await postgres_store.wait_beyond(3, 0.05) == 3
