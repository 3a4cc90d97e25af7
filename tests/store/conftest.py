"""A context of its own, for tests that provision."""

from __future__ import annotations

from uuid import uuid4

import pytest
from intent.dev.services import Postgres

from ..support.databases import Database, create_database


@pytest.fixture
def context() -> str:
    """The name of a context that nobody else uses; roles belong to the whole server."""
    return f"c{uuid4().hex[:12]}"


@pytest.fixture
async def bare(postgres: Postgres, context: str) -> Database:
    """A new database, neither provisioned nor migrated."""
    return Database.of(postgres, await create_database(postgres), context)
