"""A bounded cache of aggregates, so that a busy one is not rebuilt for each command."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from intent.model import Aggregate
from intent.records import StreamKey

__all__ = ["AggregateCache"]


class AggregateCache:
    """Keeps the aggregates used last.

    An aggregate is taken out to be worked on and put back when its events are appended. One
    that is lost on the way is loaded again, and the append's version check catches one that
    another process has moved on, so the cache never has to be right.

    Args:
        capacity: How many aggregates at most; 0 keeps none.
    """

    def __init__(self, capacity: int = 10_000) -> None:
        self._capacity = capacity
        self._kept: OrderedDict[StreamKey, Aggregate[Any]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def take(self, key: StreamKey) -> Aggregate[Any] | None:
        """Removes and returns an aggregate, or None when it is not kept."""
        return self._kept.pop(key, None)

    def put(self, key: StreamKey, aggregate: Aggregate[Any]) -> None:
        """Keeps an aggregate, letting go of the one unused for longest when full."""
        if not self._capacity:
            return
        self._kept[key] = aggregate
        if len(self._kept) > self._capacity:
            self._kept.popitem(last=False)
