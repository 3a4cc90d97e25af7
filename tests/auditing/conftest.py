from __future__ import annotations

import pytest
from intent.auditing import AuditDatabase
from intent.store.postgres import PostgresEventStore


@pytest.fixture
def audit(postgres_store: PostgresEventStore) -> AuditDatabase:
    """The audit of the context whose log the store is."""
    return AuditDatabase(postgres_store.pool, "orders")
