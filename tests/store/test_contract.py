from __future__ import annotations

import pytest
from intent.store import EventStore, MemoryEventStore
from intent.store.postgres import PostgresEventStore

from .contract import StoreContract


class TestMemory(StoreContract):
    @pytest.fixture
    def store(self) -> EventStore:
        return MemoryEventStore()


class TestPostgres(StoreContract):
    @pytest.fixture
    def store(self, postgres_store: PostgresEventStore) -> EventStore:
        return postgres_store
