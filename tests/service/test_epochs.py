"""A position that a caller was handed is refused once the log has lost what it had there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import grpc
import pytest
from intent.background import Background
from intent.errors import Rejected, StoreUnavailable
from intent.store import LogFollower, LogTail
from intent.store.epochs import Epoch
from intent.store.memory import MemoryEventStore
from intent_contracts.intent.v1 import RecordedEvent
from intent_contracts.orders.v1 import GetOrder, OrderView

from ..store.builders import fill
from .support import Served, place
from .wire import call

GET = "/orders.v1.Orders/GetOrder"


def begin_epoch(store: MemoryEventStore, kept: int) -> None:
    """Set the log back to a position, as a restore does: what it had beyond is lost."""
    del store._log[kept:]
    store.epochs.learn([*store.epochs._known, Epoch(str(uuid4()), kept)])


async def test_a_result_and_an_answer_carry_the_epoch_of_their_position(orders: Served) -> None:
    result = await orders.client().execute(place())
    assert result.epoch == orders.store.epochs.current
    answer = await call(orders, GET, GetOrder(order_id="o-1").SerializeToString())
    assert answer.trailers["x-epoch"] == result.epoch


async def test_a_position_that_is_left_goes_on_to_count_and_one_that_is_lost_is_refused(
    orders: Served,
) -> None:
    client = orders.client()
    kept, lost = [await client.execute(place(f"o-{n}")) for n in range(2)]
    begin_epoch(orders.store, 1)
    assert (await client.execute(place("new"))).position == lost.position
    query = GetOrder(order_id="o-0").SerializeToString()

    def asking(position: int, epoch: str) -> dict[str, Any]:
        return {"x_min_position": str(position), "x_epoch": epoch}

    answer = await call(orders, GET, query, **asking(kept.position, kept.epoch))
    assert answer.code is grpc.StatusCode.OK
    answer = await call(orders, GET, query, **asking(lost.position, lost.epoch))
    assert answer.code is grpc.StatusCode.FAILED_PRECONDITION
    answer = await call(orders, GET, query, **asking(kept.position, str(uuid4())))
    assert answer.code is grpc.StatusCode.FAILED_PRECONDITION
    # Whoever sends no epoch is served as ever.
    answer = await call(orders, GET, query, x_min_position=str(lost.position))
    assert answer.code is grpc.StatusCode.OK


async def test_the_client_carries_the_epoch_of_a_result_by_itself(orders: Served) -> None:
    client = orders.client()
    await client.execute(place("o-0"))
    lost = await client.execute(place("o-1"))
    begin_epoch(orders.store, 1)
    await orders.client().execute(place("new"))
    with pytest.raises(Rejected) as refused:
        await client.acting(tenant="acme").query(
            GetOrder(order_id="o-0"), OrderView, min_position=lost.position
        )
    assert refused.value.reason == "POSITION_LOST"
    assert refused.value.metadata["epoch"] == lost.epoch


async def take(events: AsyncIterator[RecordedEvent], count: int) -> list[RecordedEvent]:
    return [await anext(events) for _ in range(count)]


async def test_a_subscription_goes_on_where_nothing_is_lost_and_says_where_something_is(
    orders: Served,
) -> None:
    client = orders.client()
    for n in range(2):
        await client.execute(place(f"o-{n}"))
    subscription = client.events()
    seen = await take(subscription, 2)
    assert {event.epoch for event in seen} == {orders.store.epochs.current}
    begin_epoch(orders.store, 1)
    await client.execute(place("new"))
    with pytest.raises(Rejected) as refused:
        await take(subscription, 1)
    assert refused.value.reason == "POSITION_LOST"
    # Kept by a program that has ended: the first event is still there, the second is not.
    resumed = client.events(after=seen[0].position, epoch=seen[0].epoch)
    assert [event.aggregate_id for event in await take(resumed, 1)] == ["new"]
    with pytest.raises(Rejected):
        await take(client.events(after=seen[1].position, epoch=seen[1].epoch), 1)


async def test_a_slow_subscriber_is_given_nothing_of_another_epoch() -> None:
    store = MemoryEventStore()
    tail = LogTail(store, Background())
    follower = LogFollower(store, tail)
    await fill(store, 3)
    page = await follower.next()
    assert page is not None
    assert page.position == 3
    begin_epoch(store, 1)
    await fill(store, 4, kind="New")
    # The tail has begun anew, and read on beyond the subscriber's position, before it asks again.
    tail._begin(1)
    tail._take(1, await store.read_log(1, 10))
    with pytest.raises(StoreUnavailable):
        await follower.next()
