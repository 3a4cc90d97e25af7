"""The cache of aggregates is bounded in number and in bytes."""

from __future__ import annotations

from intent.commands import AggregateCache
from intent.contracts import Registry
from intent.model import Aggregate, load_context
from intent.records import StreamKey
from intent_contracts.orders.v1 import OrderState

ORDER = load_context("orders").bind(Registry.load()).aggregates["Order"]


def key(name: str) -> StreamKey:
    return StreamKey("acme", "Order", name)


def order(size: int) -> Aggregate[OrderState]:
    made = ORDER.new("acme", "o")
    made.state.customer_id = "x" * size
    return made


def test_what_was_unused_for_longest_leaves_when_there_are_too_many() -> None:
    cache = AggregateCache(2)
    for name in "ab":
        cache.put(key(name), order(1))
    cache.put(key("a"), cache.take(key("a")) or order(2))
    cache.put(key("c"), order(1))
    assert [cache.take(key(name)) is not None for name in "abc"] == [True, False, True]
    assert (len(cache), cache.size) == (0, 0)


def test_large_states_leave_when_they_have_too_many_bytes() -> None:
    cache = AggregateCache(1_000, 100_000)
    for number in range(50):
        cache.put(key(str(number)), order(10_000))
    assert len(cache) == 9
    assert cache.size <= 100_000
    cache.put(key("49"), order(20_000))
    assert len(cache) == 8, "the same aggregate counts once, at its size of now"


def test_a_state_that_does_not_fit_is_not_kept() -> None:
    cache = AggregateCache(1_000, 100_000)
    cache.put(key("large"), order(200_000))
    assert (len(cache), cache.size) == (0, 0)


def test_a_cache_of_none_keeps_none() -> None:
    cache = AggregateCache(0)
    cache.put(key("a"), order(1))
    assert cache.take(key("a")) is None
