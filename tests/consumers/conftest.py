from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from ..support.databases import Database
from .cluster import Cluster, Process, cluster_on


@pytest_asyncio.fixture
async def cluster(database: Database) -> AsyncIterator[Cluster]:
    """A log on PostgreSQL, for consumers that the parts of real processes serve over gRPC."""
    async with cluster_on(database) as cluster:
        yield cluster


@pytest_asyncio.fixture
async def process(cluster: Cluster) -> Process:
    """A process that serves consumers."""
    return await cluster.process()
