"""A migrated database with the read models of the orders context."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest_asyncio

from ..support.databases import Database
from .cluster import Cluster, bound


@pytest_asyncio.fixture
async def cluster(database: Database) -> AsyncIterator[Cluster]:
    async with AsyncExitStack() as stack:
        cluster = Cluster(database, stack)
        await cluster.open(bound())
        yield cluster
