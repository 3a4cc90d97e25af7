"""Each fault that the tests inject is one, and leaves nothing behind."""

from __future__ import annotations

from uuid import uuid4

import pytest
from intent.errors import ConfigurationError, StoreUnavailable
from intent.store.postgres import PostgresEventStore

from ..store.builders import key, to
from ..support.databases import Database
from ..support.faults import FAULTS, fault


async def _appends(database: Database) -> bool:
    """Return whether a process that starts now can write."""
    try:
        store = await PostgresEventStore.open(database.service, database.context, statement_timeout=1.0)
    except ConfigurationError:
        return False
    try:
        await store.append([to(key(uuid4().hex))])
    except StoreUnavailable:
        return False
    finally:
        await store.close()
    return True


@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_keeps_a_context_from_writing_until_it_is_lifted(database: Database, name: str) -> None:
    async with fault(database, name):
        assert name == "reset" or not await _appends(database)
    assert await _appends(database)
