"""What callers are told, and what is durable, while PostgreSQL is stopped and Temporal runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from intent.dev.services import Postgres, TemporalServer
from intent.errors import StoreUnavailable, Unavailable
from intent.model import BoundContext
from intent.process.assembly import CommandPath, ContextProcess
from intent.waiting import now

from ..support.command_path import Requests, eventually, place, settings_on
from ..support.databases import Database, prepare

UNAVAILABLE_AFTER = 3.0


@pytest.fixture
def own_postgres(tmp_path: Path) -> Iterator[Postgres]:
    with Postgres(tmp_path / "postgres", durable=False) as server:
        yield server


@pytest_asyncio.fixture
async def process(
    own_postgres: Postgres, temporal: TemporalServer, bound: BoundContext
) -> AsyncIterator[CommandPath]:
    database = Database.of(own_postgres, own_postgres.database, "orders")
    await prepare(database)
    settings = await settings_on(database, temporal, bound, unavailable_after=UNAVAILABLE_AFTER)
    async with ContextProcess(settings, bound).started() as path:
        yield path


async def test_submitted_commands_are_accepted_and_applied_later(
    process: CommandPath, own_postgres: Postgres, request_of: Requests
) -> None:
    router = process.router
    await router.handle(request_of(place("before")))
    own_postgres.stop()
    asked = asyncio.create_task(router.handle(request_of(place("asked"))))
    for number in range(8):
        started = now()
        submitted = await router.submit(request_of(place(f"o-{number}")))
        assert submitted.handle
        assert now() - started < UNAVAILABLE_AFTER
    with pytest.raises(Unavailable, match="accepted and continues"):
        await asked
    own_postgres.start()

    async def all_applied() -> bool:
        try:
            return await process.store.position() == 10
        except StoreUnavailable:
            return False

    await eventually(all_applied, 60)
    assert (await router.handle(request_of(place("after")))).position == 11


async def test_callers_that_leave_leave_nothing_in_the_lane_but_what_was_submitted(
    process: CommandPath, own_postgres: Postgres, request_of: Requests
) -> None:
    router = process.router
    await router.handle(request_of(place("before")))
    own_postgres.stop()
    stuck = asyncio.create_task(router.handle(request_of(place("stuck"))))
    await eventually(lambda: _holds(router.in_flight == 1 and router.depth == 0))
    calls = [asyncio.create_task(router.handle(request_of(place(f"o-{n}")))) for n in range(20)]
    submitted = asyncio.create_task(router.submit(request_of(place("kept"))))
    await eventually(lambda: _holds(router.depth == 21))
    for call in calls:
        call.cancel()
    await eventually(lambda: _holds(router.depth <= 1))
    assert (await submitted).handle
    with pytest.raises(Unavailable):
        await stuck
    own_postgres.start()


async def _holds(condition: bool) -> bool:
    return condition
