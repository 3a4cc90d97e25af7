"""A stream ends when its token does, wherever it is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
import pytest_asyncio
from intent.client.retries import platform_error
from intent.errors import CommandError, Unauthenticated, Unavailable
from intent.identity import Identity
from intent.service import expiry
from intent_contracts.intent.v1 import (
    RebuildProjectionRequest,
    RebuildProjectionResponse,
    SubscribeRequest,
    SubscribeResponse,
)

from .support import Served, place, served

SUBSCRIBE = "/intent.v1.Events/Subscribe"
REBUILD = "/intent.v1.Projections/RebuildProjection"


class Clock:
    """A clock that a test sets forward."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


class Expiring:
    """Identifies every caller by a token that expires in an hour, or never."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def authenticate(self, metadata: Any, certificate: Callable[[], str] = str) -> Identity:
        expires = None if metadata.get("x-actor") == "service:forever" else self._clock() + 3600
        return Identity(
            "acme", metadata.get("x-actor", "user:ann"), frozenset({"*"}), expires, every_tenant=True
        )


@pytest_asyncio.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    monkeypatch.setattr(expiry, "LOOK", 0.01)
    return Clock()


@pytest_asyncio.fixture
async def orders(clock: Clock) -> AsyncIterator[Served]:
    async with served(identities=Expiring(clock), clock=clock) as serving:
        yield serving


@asynccontextmanager
async def streaming(orders: Served, method: str, request: Any, actor: str = "") -> AsyncIterator[Any]:
    metadata = [("x-actor", actor)] if actor else []
    async with grpc.aio.insecure_channel(orders.server.target) as channel:
        call = channel.unary_stream(method)(request.SerializeToString(), metadata=metadata)
        yield call
        call.cancel()


async def ended(call: Any) -> CommandError:
    """Read a stream to its end, and return the error with which it ends."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await drained(call)
    return platform_error(caught.value)


async def drained(call: Any) -> None:
    async with asyncio.timeout(60):
        while await call.read() is not grpc.aio.EOF:
            pass


def expired(error: CommandError) -> bool:
    return isinstance(error, Unauthenticated) and error.reason == "TOKEN_EXPIRED"


async def fill(orders: Served, count: int) -> None:
    for number in range(count):
        await orders.client().execute(place(f"o-{number}"))


async def test_a_subscription_that_waits_ends_with_its_token(orders: Served, clock: Clock) -> None:
    async with streaming(orders, SUBSCRIBE, SubscribeRequest(follow=True, from_now=True)) as stream:
        await stream.read()
        clock.ahead += 3590
        await fill(orders, 1)
        assert SubscribeResponse.FromString(await stream.read()).HasField("event")
        clock.ahead += 11
        error = await ended(stream)
    assert expired(error)
    assert error.metadata == {"accepted": "true"}


async def endless(orders: Served) -> Callable[[], Awaitable[None]]:
    """Let the log have no end; return what waits until the server waits for a reader."""
    await fill(orders, 1)
    inner = orders.store.read_log
    reads = 0

    async def read(after: int, limit: int, where: object = None, **named: object) -> object:
        nonlocal reads
        if where is None:
            return await inner(after, limit)
        reads += 1
        (entry,) = await inner(0, 1)
        return [entry] * 200

    async def stuck() -> None:
        seen = -1
        while seen != reads:
            seen = reads
            for _ in range(20):
                await orders.client().describe()

    orders.store.read_log = read
    return stuck


async def test_a_subscription_ends_in_the_middle_of_a_batch(orders: Served, clock: Clock) -> None:
    stuck = await endless(orders)
    async with streaming(orders, SUBSCRIBE, SubscribeRequest(follow=True)) as stream:
        await stream.read()
        await stuck()
        clock.ahead += 3601
        assert expired(await ended(stream))


async def test_who_does_not_read_keeps_no_stream(orders: Served, clock: Clock) -> None:
    stuck = await endless(orders)
    async with streaming(orders, SUBSCRIBE, SubscribeRequest(follow=True)) as stream:
        await stream.read()
        await stuck()
        clock.ahead += 3601
        async with asyncio.timeout(60):
            while orders.server.subscriptions:  # noqa: ASYNC110 - nothing signals when it ends
                await asyncio.sleep(0.05)


async def test_a_rebuild_that_is_watched_ends_with_its_token(orders: Served, clock: Clock) -> None:
    async def rebuild(name: str) -> AsyncIterator[RebuildProjectionResponse]:
        yield RebuildProjectionResponse(position=1, head=2)
        await asyncio.Event().wait()

    orders.read_models.rebuild = rebuild  # type: ignore[method-assign]
    async with streaming(orders, REBUILD, RebuildProjectionRequest(name="order_view")) as stream:
        await stream.read()
        clock.ahead += 3601
        assert expired(await ended(stream))


async def test_a_stream_that_is_over_before_its_token_ends_well(orders: Served, clock: Clock) -> None:
    await fill(orders, 3)
    async with streaming(orders, SUBSCRIBE, SubscribeRequest()) as stream:
        seen = [data async for data in stream]
    assert len(seen) == 3


async def test_a_caller_without_a_token_has_no_end(orders: Served, clock: Clock) -> None:
    request = SubscribeRequest(follow=True, from_now=True)
    async with streaming(orders, SUBSCRIBE, request, actor="service:forever") as stream:
        await stream.read()
        clock.ahead += 1e9
        await fill(orders, 1)
        assert SubscribeResponse.FromString(await stream.read()).HasField("event")


async def test_a_shutdown_at_the_same_time_leaves_something_to_resume(orders: Served, clock: Clock) -> None:
    async with streaming(orders, SUBSCRIBE, SubscribeRequest(follow=True, from_now=True)) as stream:
        await stream.read()
        clock.ahead += 3601
        stopping = asyncio.create_task(orders.server.stop())
        error = await ended(stream)
        await stopping
    assert expired(error) or isinstance(error, Unavailable)


async def within(identity: Identity, clock: Clock, work: Callable[[], Awaitable[None]]) -> None:
    async with expiry.until_expiry(identity, clock):
        await work()


async def test_the_clock_counts_and_not_the_time_that_passes(clock: Clock) -> None:
    """The machine may have been suspended."""
    identity = Identity("acme", "user:ann", frozenset(), clock() + 3600)

    async def work() -> None:
        clock.ahead = 3601
        await asyncio.sleep(60)

    with pytest.raises(Unauthenticated):
        await within(identity, clock, work)


async def test_a_timeout_within_is_not_taken_for_the_end(clock: Clock) -> None:
    identity = Identity("acme", "user:ann", frozenset(), clock() + 3600)

    async def work() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        await within(identity, clock, work)
