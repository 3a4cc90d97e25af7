from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from ..support.databases import Database
from .world import Process, World, world_on


@pytest_asyncio.fixture
async def world(database: Database) -> AsyncIterator[World]:
    """A log on PostgreSQL, for consumers that the parts of real processes serve over gRPC."""
    async with world_on(database) as world:
        yield world


@pytest_asyncio.fixture
async def process(world: World) -> Process:
    """A process that serves consumers."""
    return await world.process()
