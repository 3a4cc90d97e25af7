"""Following the log: each event once, in order, despite lost connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import grpc
import pytest
from intent.errors import PermissionDenied
from intent.service import ServiceSettings
from intent_contracts.intent.v1 import EventFilter, RecordedEvent, SubscribeRequest, SubscribeResponse
from intent_contracts.orders.v1 import ConfirmOrder, OrderPlaced

from ..store.builders import command, event, key, to
from .support import Counting, Follower, Served, place, reached, served

SUBSCRIBE = "/intent.v1.Events/Subscribe"


async def take(events: AsyncIterator[RecordedEvent], count: int) -> list[RecordedEvent]:
    taken = []
    async with aclosing(events) as following:  # type: ignore[type-var]
        async for event in following:
            taken.append(event)
            if len(taken) == count:
                break
    return taken


async def fill(orders: Served, count: int, tenant: str = "acme", prefix: str = "o") -> None:
    client = orders.client(tenant)
    for index in range(count):
        await client.execute(place(f"{prefix}-{index}"))


async def test_events_arrive_in_order_with_their_metadata(orders: Served) -> None:
    client = orders.client(actor="user:ann")
    result = await client.execute(place(quantity=2), correlation_id="correlation-1")
    await client.execute(ConfirmOrder(order_id="o-1"))
    placed, confirmed = await take(client.events(follow=False), 2)
    assert (placed.position, placed.context, placed.tenant_id) == (1, "orders", "acme")
    assert (placed.aggregate_type, placed.aggregate_id, placed.version) == ("Order", "o-1", 1)
    assert (placed.type, placed.schema_version) == ("orders.v1.OrderPlaced", 2)
    assert (placed.command_id, placed.correlation_id) == (result.command_id, "correlation-1")
    assert (placed.actor, placed.event_id) == ("user:ann", result.events[0].event_id)
    assert OrderPlaced.FromString(placed.data).lines[0].quantity == 2
    assert confirmed.type == "orders.v1.OrderConfirmed"


async def test_an_old_event_comes_at_its_current_version(orders: Served) -> None:
    old = OrderPlaced(customer_id="ann").SerializeToString()
    await orders.store.append([to(key("o-1"), 0, command([event(old, schema_version=1)]))])
    client = orders.client()
    (followed,) = [event async for event in client.events(follow=False)]
    (read,) = (await client.read_stream("Order", "o-1")).events
    assert followed.epoch == orders.store.epochs.current
    followed.ClearField("epoch")
    assert followed == read
    assert (read.schema_version, OrderPlaced.FromString(read.data).currency) == (2, "EUR")


async def test_a_subscription_sees_only_its_own_tenant(orders: Served) -> None:
    await fill(orders, 2, "acme", "a")
    await fill(orders, 2, "globex", "g")
    events = [event async for event in orders.client("globex").events(follow=False)]
    assert [event.aggregate_id for event in events] == ["g-0", "g-1"]


@pytest.mark.parametrize(
    ("where", "positions"),
    [
        ({"types": ["orders.v1.OrderConfirmed"]}, [3]),
        ({"aggregate_type": "Order", "aggregate_id": "o-1"}, [2]),
        ({"correlation_id": "correlation-1"}, [3]),
        ({"aggregate_type": "Basket"}, []),
        ({"after": 1}, [2, 3]),
    ],
)
async def test_filters_select_events(orders: Served, where: dict[str, object], positions: list[int]) -> None:
    await fill(orders, 2)
    await orders.client().execute(ConfirmOrder(order_id="o-0"), correlation_id="correlation-1")
    events = orders.client().events(follow=False, **where)  # type: ignore[arg-type]
    assert [event.position async for event in events] == positions


async def test_types_that_no_contract_defines_are_accepted_and_named_once_in_the_log(
    orders: Served, caplog: pytest.LogCaptureFixture
) -> None:
    await fill(orders, 1)
    for _ in range(3):
        types = ["no.such.Event", "orders.v1.OrderPlaced"]
        events = [e async for e in orders.client(actor="user:ann").events(follow=False, types=types)]
        assert [event.position for event in events] == [1]
    (warning,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert "no.such.Event" in warning
    assert "user:ann" in warning


async def test_events_that_are_recorded_later_follow(orders: Served) -> None:
    await fill(orders, 2, prefix="a")
    following = asyncio.create_task(take(orders.client().events(), 5))
    await fill(orders, 3, prefix="b")
    assert [event.position for event in await following] == [1, 2, 3, 4, 5]


async def test_more_than_a_page_of_events_arrives_completely(orders: Served) -> None:
    await asyncio.gather(*(fill(orders, 50, prefix=f"w{writer}") for writer in range(9)))
    events = [event.position async for event in orders.client().events(follow=False)]
    assert events == list(range(1, 451))


async def test_from_now_starts_at_the_head(orders: Served) -> None:
    await fill(orders, 2, prefix="old")
    async with opened(orders, SubscribeRequest(follow=True, from_now=True)) as stream:
        first = SubscribeResponse.FromString(await stream.read())
        assert (first.position, first.HasField("event")) == (2, False)
        await fill(orders, 1, prefix="new")
        assert SubscribeResponse.FromString(await stream.read()).event.aggregate_id == "new-0"


async def test_a_subscription_whose_filter_matches_nothing_gets_its_position() -> None:
    async with served(settings=ServiceSettings(progress_every=0.01)) as orders:
        request = SubscribeRequest(follow=True, filter=EventFilter(types=["orders.v1.OrderCancelled"]))
        async with opened(orders, request) as stream:
            await fill(orders, 3)
            position = 0
            while position < 3:
                response = SubscribeResponse.FromString(await stream.read())
                assert not response.HasField("event")
                position = response.position


async def test_events_need_a_role(orders: Served) -> None:
    with pytest.raises(PermissionDenied):
        await take(orders.client(roles=["customer"]).events(follow=False), 1)
    with pytest.raises(PermissionDenied):
        await orders.client(roles=["customer"]).read_stream("Order", "o-1")


async def test_a_stream_is_read_in_parts(orders: Served) -> None:
    client = orders.client()
    await client.execute(place())
    await client.execute(ConfirmOrder(order_id="o-1"))
    whole = await client.read_stream("Order", "o-1")
    assert ([event.version for event in whole.events], whole.version) == ([1, 2], 2)
    rest = await client.read_stream("Order", "o-1", after_version=1)
    assert [event.version for event in rest.events] == [2]
    assert [event.version for event in (await client.read_stream("Order", "o-1", limit=1)).events] == [1]
    nothing = await orders.client("globex").read_stream("Order", "o-1")
    assert (len(nothing.events), nothing.version) == (0, 0)


async def test_flow_control_stops_the_server_while_a_client_does_not_read(orders: Served) -> None:
    """The server holds about a page for a slow reader, not the whole log."""
    client = orders.client()
    big = place("big")
    big.lines[0].sku = "x" * 60
    await client.execute(big)
    reads = 0
    inner = orders.store.read_log

    async def counted(*arguments: object, **named: object) -> object:
        nonlocal reads
        reads += 1
        page = await inner(*arguments, **named)
        return [page[0]] * 200 if page else page

    orders.store.read_log = counted
    async with opened(orders, SubscribeRequest(follow=True)) as stream:
        await stream.read()
        seen = -1
        while seen != reads:
            seen = reads
            await orders.client().describe()
        assert reads < 500


async def test_cancelling_ends_the_subscription_on_the_server(orders: Served) -> None:
    async with opened(orders, SubscribeRequest(follow=True, from_now=True)) as stream:
        await stream.read()
        assert orders.server.subscriptions == 1
    while orders.server.subscriptions:
        await orders.client().describe()


async def test_a_shutdown_ends_subscriptions_so_that_clients_resume(orders: Served) -> None:
    async with opened(orders, SubscribeRequest(follow=True, from_now=True)) as stream:
        await stream.read()
        stopping = asyncio.create_task(orders.server.stop())
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stream.read()
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        await stopping


async def test_a_shutdown_does_not_wait_for_a_reader_that_does_not_read(orders: Served) -> None:
    await fill(orders, 1)
    inner = orders.store.read_log

    async def endless(after: int, limit: int, where: object = None, **named: object) -> object:
        if where is None:
            return await inner(after, limit)
        page = await inner(0, 1)
        return [page[0]] * 200

    orders.store.read_log = endless
    async with opened(orders, SubscribeRequest(follow=True)) as stream:
        await stream.read()
        await orders.server.stop()


async def test_a_subscriber_survives_restarts_without_gaps_or_repeats(orders: Served) -> None:
    following = asyncio.create_task(take(orders.client().events(), 60))

    async def write() -> None:
        client = orders.client()
        for index in range(60):
            await client.execute(place(f"o-{index}"))

    writing = asyncio.create_task(write())
    for _ in range(3):
        await reached(orders.store, await orders.store.position() + 10)
        await orders.restart()
    await writing
    assert [event.position for event in await following] == list(range(1, 61))


async def test_a_connection_that_is_closed_for_its_age_is_replaced_unnoticed() -> None:
    tracer = Counting()
    settings = ServiceSettings(max_connection_age=0.2, max_connection_age_grace=0.1)
    async with served(settings=settings, tracer=tracer) as orders:
        client, follower, written = orders.client(), Follower(), 0
        following = asyncio.create_task(follower.run(client, 10_000))
        while tracer.calls[SUBSCRIBE] < 4:
            await client.execute(place(f"o-{written}"))
            written += 1
        await follower.has(written)
        following.cancel()
        await asyncio.wait([following])
        assert [event.position for event in follower.seen] == list(range(1, written + 1))


class opened:  # noqa: N801 - reads as a function
    """A raw subscription, cancelled at the end of the block."""

    def __init__(self, orders: Served, request: SubscribeRequest) -> None:
        self._orders = orders
        self._request = request

    async def __aenter__(self) -> grpc.aio.UnaryStreamCall:
        self._channel = grpc.aio.insecure_channel(self._orders.server.target)
        metadata = (("x-tenant-id", "acme"),)
        self._call = self._channel.unary_stream(SUBSCRIBE)(
            self._request.SerializeToString(), metadata=metadata
        )
        return self._call

    async def __aexit__(self, *error: object) -> None:
        self._call.cancel()
        await self._channel.close()
