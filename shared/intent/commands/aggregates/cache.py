"""A bounded cache of aggregates, so that a busy one is not rebuilt for each command."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Final

from intent.model import Aggregate
from intent.records import StreamKey

__all__ = ["AggregateCache"]

_OVERHEAD: Final = 1024
"""Bytes that an entry takes besides its state, roughly."""


class AggregateCache:
    """The aggregates that were used last.

    An aggregate is taken out to be worked on and put back when its events are appended. One that is
    lost on the way is loaded again, and the version check of the append detects one that another
    process has changed since, so the cache need not be up to date.

    Args:
        capacity: The most aggregates; 0 keeps none.
        capacity_bytes: The most bytes that their states may have together, encoded.

    Attributes:
        size: The bytes of the states, and some for each entry.
    """

    def __init__(self, capacity: int = 10_000, capacity_bytes: int = 256 * 1024 * 1024) -> None:
        self.size = 0
        self._capacity = capacity
        self._capacity_bytes = capacity_bytes
        self._cached: OrderedDict[StreamKey, tuple[Aggregate[Any], int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._cached)

    def take(self, key: StreamKey) -> Aggregate[Any] | None:
        """Remove an aggregate and return it, or None when it is not cached."""
        entry = self._cached.pop(key, None)
        if entry is None:
            return None
        self.size -= entry[1]
        return entry[0]

    def clear(self) -> None:
        """Drop all aggregates: the log may have gone back behind what they rest on."""
        self._cached.clear()
        self.size = 0

    def put(self, key: StreamKey, aggregate: Aggregate[Any]) -> None:
        """Cache an aggregate, dropping those that were unused for longest while there is no room."""
        if not self._capacity:
            return
        self.take(key)
        size = aggregate.state.ByteSize() + _OVERHEAD
        self._cached[key] = aggregate, size
        self.size += size
        while len(self._cached) > self._capacity or self.size > self._capacity_bytes:
            _, (_, freed) = self._cached.popitem(last=False)
            self.size -= freed
