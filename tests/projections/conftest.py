"""A migrated database with the read models of the orders context."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest_asyncio

from ..support.databases import Database
from .world import World, bound


@pytest_asyncio.fixture
async def world(database: Database) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        world = World(database, stack)
        await world.open(bound())
        yield world
