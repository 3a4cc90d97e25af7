"""What a call may cost: calls that fail keep nothing, and messages are not checked without end."""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import Awaitable, Callable, Iterator

import grpc
import psutil
import pytest
from intent.contracts.validation import MESSAGE_LIMIT
from intent.errors import InvalidCommand
from intent.service.calls import read
from intent_contracts.intent.v1 import ReadStreamRequest, SubscribeRequest
from intent_contracts.orders.v1 import OrderLine, PlaceOrder

from .support import Served, place
from .wire import Answer, call

_KIB = 1024
_MIB = 1024 * _KIB
_CALLS = 300
_ORDERS = "/orders.v1.Orders/PlaceOrder"

Failing = Callable[[Served], Awaitable[Answer]]


@pytest.fixture
def uncollected() -> Iterator[None]:
    """No garbage collection: a serving process collects seldom, and counts objects, not bytes."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


async def _without_identity(orders: Served) -> Answer:
    return await call(orders, _ORDERS, os.urandom(400 * _KIB), x_tenant_id="")


async def _malformed(orders: Served) -> Answer:
    return await call(orders, _ORDERS, b"\xff" * 250 * _KIB)


async def _too_large(orders: Served) -> Answer:
    return await call(orders, _ORDERS, b"\0" * 400 * _KIB)


async def _broken_rule(orders: Served) -> Answer:
    lines = [OrderLine(line_id="x" * 1000) for _ in range(200)]
    return await call(orders, _ORDERS, PlaceOrder(order_id="o", lines=lines).SerializeToString())


async def _unknown_method(orders: Served) -> Answer:
    return await call(orders, "/orders.v1.Orders/Nothing", os.urandom(250 * _KIB))


async def _stream(orders: Served) -> Answer:
    return await call(
        orders,
        "/intent.v1.Events/ReadStream",
        ReadStreamRequest(aggregate_id="x" * 250 * _KIB).SerializeToString(),
    )


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize(
    "fail", [_without_identity, _malformed, _too_large, _broken_rule, _unknown_method, _stream]
)
async def test_calls_that_fail_keep_nothing(orders: Served, fail: Failing) -> None:
    process = psutil.Process()
    for _ in range(20):
        assert (await fail(orders)).code != grpc.StatusCode.OK
    before = process.memory_info().rss
    for _ in range(_CALLS):
        await fail(orders)
    assert process.memory_info().rss - before < 20 * _MIB


@pytest.mark.usefixtures("uncollected")
async def test_a_subscription_that_is_refused_keeps_nothing(orders: Served) -> None:
    data = SubscribeRequest().SerializeToString() + b"\xff" * 250 * _KIB
    process = psutil.Process()
    async with grpc.aio.insecure_channel(orders.server.target) as channel:
        method = channel.unary_stream("/intent.v1.Events/Subscribe")

        async def refused() -> None:
            with pytest.raises(grpc.RpcError):
                async for _ in method(data, metadata=(("x-tenant-id", "acme"),), timeout=20):
                    pass

        for _ in range(20):
            await refused()
        before = process.memory_info().rss
        for _ in range(_CALLS):
            await refused()
    assert process.memory_info().rss - before < 20 * _MIB


async def test_a_message_of_a_hundred_thousand_broken_elements_is_refused_at_once(orders: Served) -> None:
    data = PlaceOrder(order_id="o-1", customer_id="ann").SerializeToString() + b"\x1a\x00" * 131_000
    pause = asyncio.create_task(_longest_pause())
    answer = await call(orders, _ORDERS, data[: 256 * _KIB])
    pause.cancel()
    assert answer.code == grpc.StatusCode.INVALID_ARGUMENT
    assert "lines" in answer.fields
    assert await _result(pause) < 0.5


@pytest.mark.parametrize(
    "element",
    [b"\x00", b"\x02\x18\x00", b"\x03\x0a\x01\x00"],
    ids=["empty", "zeros", "nul"],
)
def test_no_number_of_elements_takes_more_than_a_tenth_of_a_second(element: bytes) -> None:
    """Measured by the processor, so that it does not depend on what else the machine does."""
    order = PlaceOrder(order_id="o-1", customer_id="ann").SerializeToString()
    data = order + (b"\x1a" + element) * ((MESSAGE_LIMIT - len(order)) // (1 + len(element)))
    best = min(_processor_time(lambda: _refused(data)) for _ in range(3))
    assert best < 0.1


def _refused(data: bytes) -> None:
    with pytest.raises(InvalidCommand):
        read(PlaceOrder, data)


def _processor_time(work: Callable[[], None]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


async def test_a_hundred_violations_are_reported_at_most(orders: Served) -> None:
    lines = [OrderLine() for _ in range(90)]
    answer = await call(orders, _ORDERS, PlaceOrder(order_id="o", lines=lines).SerializeToString())
    assert answer.code == grpc.StatusCode.INVALID_ARGUMENT
    assert 10 < len(answer.fields) <= 100


async def test_fields_that_the_contract_does_not_know_are_dropped(orders: Served) -> None:
    smuggled = b"\xaa\x06\x08smuggled"  # field 101
    line = place().lines[0].SerializeToString() + smuggled
    order = PlaceOrder(order_id="o-7", customer_id="ann").SerializeToString()
    data = order + b"\x1a" + bytes([len(line)]) + line + smuggled
    assert (await call(orders, _ORDERS, data)).code == grpc.StatusCode.OK
    (entry,) = await orders.store.read_log(0, 10)
    assert b"smuggled" not in entry.data


async def _longest_pause() -> float:
    """Return the longest time, in seconds, for which the event loop stood still, when cancelled."""
    longest, last = 0.0, time.monotonic()
    try:
        while True:
            await asyncio.sleep(0.005)
            now = time.monotonic()
            longest, last = max(longest, now - last), now
    except asyncio.CancelledError:
        return longest


async def _result(task: asyncio.Task[float]) -> float:
    return await task
