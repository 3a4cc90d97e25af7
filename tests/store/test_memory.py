"""The memory store does what every store must."""

from __future__ import annotations

import pytest

from intent.store.memory import MemoryEventStore

from .contract import StoreContract


class TestMemoryEventStore(StoreContract):
    @pytest.fixture
    def store(self) -> MemoryEventStore:
        return MemoryEventStore()
