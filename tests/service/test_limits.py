"""What one caller, one tenant and all callers together may have open, and what happens beyond that."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from intent.errors import CommandError, Overloaded, Unavailable
from intent.service import ServiceSettings
from intent.service.methods import UnknownMethods
from intent.wire.statuses import error_of_status
from intent_contracts.intent.v1 import SubscribeRequest, SubscribeResponse

from .gate import Gate
from .support import Counting, Follower, MemoryRouter, Served, place, served
from .wire import call

SUBSCRIBE = "/intent.v1.Events/Subscribe"
PLACE = "/orders.v1.Orders/PlaceOrder"
HEALTH = "/grpc.health.v1.Health"
REFLECTION = "/grpc.reflection.{}.ServerReflection/ServerReflectionInfo"
OWN_CONNECTION = [("grpc.use_local_subchannel_pool", 1)]


@asynccontextmanager
async def gated(**settings: Any) -> AsyncIterator[tuple[Served, Gate]]:
    """Serve orders whose commands are held until the gate is opened."""
    settings.setdefault("shutdown_grace", 5.0)
    async with served(settings=ServiceSettings(**settings)) as orders:
        gate = Gate(MemoryRouter(orders.context, orders.store, orders.read_models))
        await orders.restart(gate)
        yield orders, gate
        gate.opened.set()


@asynccontextmanager
async def subscribed(orders: Served, actor: str = "ann", tenant: str = "acme") -> AsyncIterator[None]:
    """Hold a subscription open; raise the platform's error when it is refused."""
    async with grpc.aio.insecure_channel(orders.server.target) as channel:
        stream = channel.unary_stream(SUBSCRIBE)(
            SubscribeRequest(follow=True, from_now=True).SerializeToString(),
            metadata=(("x-tenant-id", tenant), ("x-actor", actor)),
        )
        try:
            assert not SubscribeResponse.FromString(await stream.read()).HasField("event")
        except grpc.aio.AioRpcError as error:
            trailers = tuple(error.trailing_metadata() or ())
            raise error_of_status(error.code(), error.details() or "", trailers) from None
        yield


async def held(orders: Served, count: int, tenant: str = "acme") -> list[asyncio.Task[Any]]:
    """Send commands that the gate holds."""
    before = orders.router.held
    tasks = [
        asyncio.create_task(
            call(orders, PLACE, place(f"{tenant}-{n}").SerializeToString(), x_tenant_id=tenant)
        )
        for n in range(count)
    ]
    await orders.router.has(before + count)
    return tasks


def refused(error: CommandError, reason: str, *words: str) -> None:
    assert isinstance(error, Overloaded)
    assert error.reason == reason
    assert error.retry_after_ms > 0
    for word in words:
        assert word in error.message


async def test_beyond_the_calls_of_a_process_callers_are_asked_to_wait() -> None:
    async with gated(calls=3) as (orders, gate):
        tasks = await held(orders, 3)
        answer = await call(orders, PLACE, place("more").SerializeToString())
        assert answer.code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert (answer.info.reason, answer.info.metadata["limit"]) == ("TOO_MANY_CALLS", "3")
        assert answer.retry_after_ms > 0
        assert "3 calls" in answer.message
        gate.opened.set()
        assert {(await task).code for task in tasks} == {grpc.StatusCode.OK}
        assert (await call(orders, PLACE, place("more").SerializeToString())).code is grpc.StatusCode.OK


async def test_one_tenant_leaves_calls_for_the_others() -> None:
    async with gated(tenant_calls=2) as (orders, gate):
        tasks = await held(orders, 2)
        answer = await call(orders, PLACE, place("more").SerializeToString())
        assert answer.info.reason == "TOO_MANY_CALLS"
        assert "tenant acme may have 2 calls" in answer.message
        tasks += await held(orders, 1, "globex")
        gate.opened.set()
        assert {(await task).code for task in tasks} == {grpc.StatusCode.OK}


async def test_one_caller_leaves_streams_for_the_others_of_its_tenant() -> None:
    async with served(settings=ServiceSettings(caller_streams=2)) as orders, AsyncExitStack() as open_:
        await open_.enter_async_context(subscribed(orders))
        async with subscribed(orders):
            with pytest.raises(Overloaded) as caught:
                await open_.enter_async_context(subscribed(orders))
            refused(caught.value, "TOO_MANY_STREAMS", "ann of tenant acme", "2 streams", "close some")
            await open_.enter_async_context(subscribed(orders, "bob"))
            await open_.enter_async_context(subscribed(orders, "ann", "globex"))
        while orders.server.subscriptions > 3:
            await orders.client().describe()
        await open_.enter_async_context(subscribed(orders))


async def test_one_tenant_leaves_streams_for_the_others() -> None:
    async with served(settings=ServiceSettings(tenant_streams=2)) as orders, AsyncExitStack() as open_:
        await open_.enter_async_context(subscribed(orders, "ann"))
        await open_.enter_async_context(subscribed(orders, "bob"))
        with pytest.raises(Overloaded) as caught:
            await open_.enter_async_context(subscribed(orders, "carl"))
        refused(caught.value, "TOO_MANY_STREAMS", "tenant acme may have 2 streams")
        await open_.enter_async_context(subscribed(orders, "carl", "globex"))


async def test_a_call_that_is_refused_or_fails_does_not_count() -> None:
    async with served(settings=ServiceSettings(tenant_calls=1, caller_streams=1)) as orders:
        for _ in range(5):
            assert (await call(orders, PLACE, b"\xff")).code is grpc.StatusCode.INVALID_ARGUMENT
            answer = await call(orders, SUBSCRIBE, b"\xff")
            assert answer.code is not grpc.StatusCode.RESOURCE_EXHAUSTED
        assert (await call(orders, PLACE, place().SerializeToString())).code is grpc.StatusCode.OK


async def test_health_is_watched_without_identity_but_not_without_bound() -> None:
    async with (
        served(settings=ServiceSettings(anonymous_streams=2)) as orders,
        grpc.aio.insecure_channel(orders.server.target) as channel,
    ):
        stub = health_pb2_grpc.HealthStub(channel)
        watches = [stub.Watch(health_pb2.HealthCheckRequest()) for _ in range(2)]
        for watch in watches:
            await watch.read()
        with pytest.raises(grpc.aio.AioRpcError, match="2 streams") as caught:
            await stub.Watch(health_pb2.HealthCheckRequest()).read()
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert (await stub.Check(health_pb2.HealthCheckRequest())).status


async def test_more_connections_than_allowed_are_closed() -> None:
    async with served(settings=ServiceSettings(connections=2)) as orders, AsyncExitStack() as open_:
        codes = Counter[grpc.StatusCode]()
        for _ in range(3):
            channel = await open_.enter_async_context(
                grpc.aio.insecure_channel(orders.server.target, OWN_CONNECTION)
            )
            try:
                await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
                codes[grpc.StatusCode.OK] += 1
            except grpc.aio.AioRpcError as error:
                codes[error.code()] += 1
    assert codes == {grpc.StatusCode.OK: 2, grpc.StatusCode.UNAVAILABLE: 1}


async def test_an_idle_connection_is_closed_and_opened_again_unnoticed() -> None:
    tracer = Counting()
    settings = ServiceSettings(max_connection_idle=0.2)
    async with (
        served(settings=settings, tracer=tracer) as orders,
        grpc.aio.insecure_channel(orders.server.target, OWN_CONNECTION) as idle,
    ):
        follower, client = Follower(), orders.client()
        following = asyncio.create_task(follower.run(orders.client(), 3))
        await client.execute(place("o-0"))
        await follower.has(1)
        for number in (1, 2):
            await health_pb2_grpc.HealthStub(idle).Check(health_pb2.HealthCheckRequest())
            await idle.wait_for_state_change(grpc.ChannelConnectivity.READY)
            # The connection of the subscription has been as quiet for as long.
            await client.execute(place(f"o-{number}"))
        await following
        assert tracer.calls[SUBSCRIBE] == 1


@pytest.mark.parametrize("method", [f"{HEALTH}/Check", f"{HEALTH}/Watch"])
@pytest.mark.parametrize(
    ("data", "reason"), [(b"\xff", "MALFORMED_MESSAGE"), (b"\0" * 9000, "MESSAGE_TOO_LARGE")]
)
async def test_a_malformed_health_check_is_the_callers_fault(
    orders: Served, caplog: pytest.LogCaptureFixture, method: str, data: bytes, reason: str
) -> None:
    answer = await call(orders, method, data)
    assert (answer.code, answer.info.reason) == (grpc.StatusCode.INVALID_ARGUMENT, reason)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
async def test_reflection_speaks_both_versions(
    orders: Served, caplog: pytest.LogCaptureFixture, version: str
) -> None:
    async with grpc.aio.insecure_channel(orders.server.target) as channel:
        method = channel.stream_stream(
            REFLECTION.format(version),
            response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
        )
        request = reflection_pb2.ServerReflectionRequest(file_containing_symbol="orders.v1.Orders")
        (answer,) = [a async for a in method(iter([request.SerializeToString()]))]
        assert answer.file_descriptor_response.file_descriptor_proto
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            _ = [a async for a in method(iter([b"\xff"]))]
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_an_unknown_method_names_the_nearest_and_a_flood_of_them_costs_little(orders: Served) -> None:
    answer = await call(orders, "/orders.v1.Orders/PlaceOrdr")
    assert "did you mean /orders.v1.Orders/PlaceOrder?" in answer.message

    class Details:
        method = ""

    unknown = UnknownMethods("orders", [f"/orders.v1.Orders/Method{n}" for n in range(50)])
    began = time.process_time()
    for n in range(5_000):
        Details.method = f"/orders.v1.Orders/Method{n}" * 8
        unknown.service(Details())
    assert time.process_time() - began < 1.0


@pytest.mark.parametrize(
    "key",
    [
        "x-tenant-id",
        "x-actor",
        "x-roles",
        "authorization",
        "x-command-id",
        "x-correlation-id",
        "x-expected-version",
        "x-consistency",
    ],
)
async def test_what_decides_a_calls_meaning_is_sent_once(orders: Served, key: str) -> None:
    async with grpc.aio.insecure_channel(orders.server.target) as channel:
        metadata = (("x-tenant-id", "acme"), (key, "globex"), (key, "globex"))
        with pytest.raises(grpc.aio.AioRpcError, match=f"{key} was sent") as caught:
            await channel.unary_unary(PLACE)(place().SerializeToString(), metadata=metadata)
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert await orders.store.position() == 0


async def test_other_metadata_may_be_repeated(orders: Served) -> None:
    async with grpc.aio.insecure_channel(orders.server.target) as channel:
        metadata = (("x-tenant-id", "acme"), ("x-forwarded-for", "a"), ("x-forwarded-for", "b"))
        await channel.unary_unary(PLACE)(place().SerializeToString(), metadata=metadata)


async def test_a_process_that_stops_never_cancels_a_call() -> None:
    codes: Counter[grpc.StatusCode] = Counter()
    stopped, busy = asyncio.Event(), asyncio.Event()

    async def keep_calling(channel: grpc.aio.Channel) -> None:
        method = channel.unary_unary("/intent.v1.Commands/Describe")
        while not stopped.is_set():
            try:
                await method(b"", timeout=20)
                codes[grpc.StatusCode.OK] += 1
                busy.set()
            except grpc.aio.AioRpcError as error:
                codes[error.code()] += 1

    for _ in range(10):
        orders = Served(settings=ServiceSettings(listeners=2, shutdown_grace=5.0))
        await orders.start()
        stopped.clear()
        busy.clear()
        async with AsyncExitStack() as open_:
            channels = [
                await open_.enter_async_context(
                    grpc.aio.insecure_channel(orders.server.target, OWN_CONNECTION)
                )
                for _ in range(4)
            ]
            calling = [asyncio.create_task(keep_calling(channels[n % 4])) for n in range(40)]
            await busy.wait()
            await orders.server.stop()
            stopped.set()
            await asyncio.gather(*calling)
    assert codes.keys() == {grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE}


async def test_a_call_that_outlasts_the_grace_is_unavailable_and_not_cancelled() -> None:
    async with gated(shutdown_grace=0.1) as (orders, _):
        (task,) = await held(orders, 1)
        await orders.server.stop()
        answer = await task
        assert (answer.code, answer.info.reason) == (grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN")
        assert answer.retry_after_ms > 0
        await orders.start()


async def test_a_caller_that_gives_up_is_not_told_of_a_shutdown() -> None:
    async with gated() as (orders, _):
        calling = asyncio.create_task(orders.client().execute(place(), timeout=0.2))
        await orders.router.has(1)
        with pytest.raises(CommandError) as caught:
            await calling
        assert not isinstance(caught.value, Unavailable)
