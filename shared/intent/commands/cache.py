"""A bounded cache of aggregates, so that a busy one is not rebuilt for each command."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from intent.model import Aggregate
from intent.records import StreamKey

__all__ = ["AggregateCache"]


class AggregateCache:
    """The aggregates that were used last.

    An aggregate is taken out to be worked on and put back when its events are appended. One that is
    lost on the way is loaded again, and the version check of the append detects one that another
    process has changed since, so the cache need not be up to date.

    Args:
        capacity: The most aggregates; 0 keeps none.
    """

    def __init__(self, capacity: int = 10_000) -> None:
        self._capacity = capacity
        self._cached: OrderedDict[StreamKey, Aggregate[Any]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._cached)

    def take(self, key: StreamKey) -> Aggregate[Any] | None:
        """Remove an aggregate and return it, or None when it is not cached."""
        return self._cached.pop(key, None)

    def put(self, key: StreamKey, aggregate: Aggregate[Any]) -> None:
        """Cache an aggregate, dropping the one that was unused for longest when full."""
        if not self._capacity:
            return
        self._cached[key] = aggregate
        if len(self._cached) > self._capacity:
            self._cached.popitem(last=False)
