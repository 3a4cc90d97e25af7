"""The PostgreSQL store does what every store must."""

from __future__ import annotations

import pytest

from intent.store.postgres import PostgresEventStore

from .contract import StoreContract


class TestPostgresEventStore(StoreContract):
    @pytest.fixture
    def store(self, postgres_store: PostgresEventStore) -> PostgresEventStore:
        return postgres_store
