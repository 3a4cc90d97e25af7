"""The server itself: health from progress, reflection, description, ports, shutdown."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from intent.errors import ConfigurationError, InvalidCommand, NotFound, PermissionDenied, Unauthenticated
from intent.identity import Identity
from intent.origin import TraceContext
from intent.service import Probe, ServiceSettings
from intent.telemetry.spans import CallSpan

from .gate import Gate
from .support import MemoryRouter, Served, place, served
from .wire import call, reflected

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SERVICES = [
    *(f"intent.v1.{name}" for name in ("Commands", "Events", "Projections", "Sagas")),
    "orders.v1.Orders",
]


async def health(orders: Served, service: str = "") -> int:
    async with grpc.aio.insecure_channel(orders.server.target) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        status: int = (await stub.Check(health_pb2.HealthCheckRequest(service=service))).status
        return status


async def until_health(orders: Served, wanted: int) -> None:
    """Watch the health of the whole process until it is as wanted."""
    async with grpc.aio.insecure_channel(orders.server.target) as channel:
        watching = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        async for response in watching:
            if response.status == wanted:
                return


async def test_each_service_reports_its_health(orders: Served) -> None:
    assert [await health(orders, service) for service in ["", *SERVICES]] == [SERVING] * (1 + len(SERVICES))


@dataclass
class Flag:
    """A probe with a problem that a test sets."""

    problem: str = ""

    async def check(self) -> str:
        if self.problem == "raise":
            raise ConnectionError("unavailable")
        if self.problem == "hang":
            await asyncio.Event().wait()
        return self.problem


@pytest.mark.parametrize("problem", ["has not polled for 30 s", "raise", "hang"])
async def test_without_progress_it_is_not_ready_and_recovers(problem: str) -> None:
    flag = Flag()
    worker = Probe("worker", flag.check)
    settings = ServiceSettings(health_interval=0.01, health_timeout=0.05)
    async with served(probes=[worker], settings=settings) as orders:
        flag.problem = problem
        await until_health(orders, NOT_SERVING)
        assert "worker" in orders.server.health.problems
        assert await health(orders, "orders.v1.Orders") == NOT_SERVING
        flag.problem = ""
        await until_health(orders, SERVING)


async def test_what_only_some_services_need_takes_the_others_out_of_service_not() -> None:
    flag = Flag("Temporal is unavailable")
    async with served(probes=[Probe("temporal", flag.check, {"intent.v1.Commands"})]) as orders:
        assert await health(orders, "intent.v1.Commands") == NOT_SERVING
        assert await health(orders, "orders.v1.Orders") == SERVING
        assert await health(orders) == SERVING
        assert orders.server.health.ready
        assert orders.server.health.problems == {"temporal": "Temporal is unavailable"}


async def test_one_failed_answer_is_no_outage() -> None:
    answers = ["", "operation was canceled", "", "", "slow"]

    async def check() -> str:
        answer = answers.pop(0) if answers else ""
        if answer == "slow":
            await asyncio.Event().wait()
        return answer

    settings = ServiceSettings(health_interval=3600, health_timeout=0.05)
    async with served(probes=[Probe("temporal", check)], settings=settings) as orders:
        for _ in range(3):
            await orders.server.health.check()
            assert await health(orders) == SERVING
    assert not answers


async def test_an_unavailable_store_makes_every_service_not_ready(orders: Served) -> None:
    async def unavailable() -> int:
        raise ConnectionError

    orders.store.position = unavailable
    await orders.server.health.check()
    statuses = [await health(orders, service) for service in ["", *SERVICES]]
    assert statuses == [NOT_SERVING] * (1 + len(SERVICES))


async def test_reflection_shows_the_services_and_their_messages(orders: Served) -> None:
    async with grpc.aio.insecure_channel(orders.server.target) as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        requests = [
            reflection_pb2.ServerReflectionRequest(list_services=""),
            reflection_pb2.ServerReflectionRequest(file_containing_symbol="orders.v1.Orders"),
        ]
        answers = [answer async for answer in stub.ServerReflectionInfo(iter(requests))]
    names = [service.name for service in answers[0].list_services_response.service]
    assert {*SERVICES, "grpc.health.v1.Health"} <= set(names)
    assert answers[1].file_descriptor_response.file_descriptor_proto


async def _reflected(orders: Served, *metadata: tuple[str, str]) -> grpc.StatusCode:
    async with grpc.aio.insecure_channel(orders.server.target) as channel:
        return await reflected(channel, *metadata)


async def test_reflection_and_describe_are_for_callers_with_an_identity_and_health_for_all() -> None:
    class Known:
        async def authenticate(
            self, metadata: Mapping[str, str], certificate: Callable[[], str] = str
        ) -> Identity:
            if metadata.get("authorization") != "Bearer right":
                raise Unauthenticated("UNAUTHENTICATED", "no token")
            return Identity("", "user:ann", frozenset())

    async with served(identities=Known()) as orders:
        assert await _reflected(orders) is grpc.StatusCode.UNAUTHENTICATED
        assert await _reflected(orders, ("authorization", "Bearer wrong")) is grpc.StatusCode.UNAUTHENTICATED
        assert await _reflected(orders, ("authorization", "Bearer right")) is grpc.StatusCode.OK
        with pytest.raises(Unauthenticated):
            await orders.client(tenant="").describe()
        assert await health(orders) == SERVING


async def test_reflection_can_be_off() -> None:
    async with served(settings=ServiceSettings(reflection=False)) as orders:
        assert await _reflected(orders) is grpc.StatusCode.UNIMPLEMENTED
        assert await health(orders) == SERVING


async def test_describe_returns_the_contracts_without_a_tenant(orders: Served) -> None:
    described = await orders.client(tenant="").describe()
    assert described.context == "orders"
    commands = {command.type: command for command in described.commands}
    assert commands["orders.v1.PlaceOrder"].method == "/orders.v1.Orders/PlaceOrder"
    assert list(commands["orders.v1.ConfirmOrder"].roles) == ["service"]
    assert commands["orders.v1.PlaceOrder"].aggregate_id_field == "order_id"
    assert "ORDER_NOT_SHIPPED" in commands["orders.v1.CompleteOrder"].rejects
    models = {model.type: model.projection for model in described.read_models}
    assert models["orders.v1.OrderView"] == "OrderViews"
    assert "orders.v1.OrderPlaced" in [event.type for event in described.events]
    assert described.version


async def test_operators_list_and_repair_projections(orders: Served) -> None:
    client = orders.client(tenant="", actor="user:op", roles=["operator"])
    await orders.client().execute(place())
    listed = await client.projections.list()
    assert (listed.head, {p.name for p in listed.projections}) == (1, {"OrderViews", "OrderSummaries"})
    progress = [p async for p in client.projections.rebuild("OrderViews")]
    assert (progress[-1].done, progress[-1].position) == (True, 1)
    with pytest.raises(InvalidCommand, match="does not fail now"):
        await client.projections.skip("OrderViews", 1, "known to be broken")
    status = await client.projections.skip("OrderViews", 1, "known to be broken", force=True)
    assert (status.skipped[0].actor, status.skipped[0].reason) == ("user:op", "known to be broken")
    with pytest.raises(NotFound):
        [p async for p in client.projections.rebuild("Nonsense")]


async def test_other_callers_may_not(orders: Served) -> None:
    client = orders.client(roles=["service", "customer"])
    with pytest.raises(PermissionDenied):
        await client.projections.list()
    with pytest.raises(PermissionDenied):
        [p async for p in client.projections.rebuild("OrderViews")]
    with pytest.raises(PermissionDenied):
        await client.projections.skip("OrderViews", 1, "why not")


async def test_many_connections_are_served_by_listeners_on_one_port() -> None:
    own = [("grpc.use_local_subchannel_pool", 1)]
    async with served(settings=ServiceSettings(listeners=4)) as orders:
        for _ in range(12):
            async with grpc.aio.insecure_channel(orders.server.target, own) as channel:
                response = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
                assert response.status == SERVING


@pytest.mark.parametrize("listeners", [1, 4])
async def test_a_taken_port_is_one_clear_sentence(listeners: int) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=str(port)):
            await Served(settings=ServiceSettings(port=port, listeners=listeners)).start()


@pytest.mark.parametrize("listeners", [1, 4])
async def test_two_servers_never_share_a_port(listeners: int) -> None:
    settings = ServiceSettings(listeners=listeners)
    async with served(settings=settings) as orders:
        with pytest.raises(ConfigurationError):
            await Served(settings=replace(settings, port=orders.server.port)).start()


async def test_a_shutdown_finishes_what_is_under_way_and_accepts_nothing_new(orders: Served) -> None:
    inner = MemoryRouter(orders.context, orders.store, orders.read_models)
    gate = Gate(inner)
    await orders.restart(gate)
    under_way = asyncio.create_task(orders.client().execute(place(), timeout=20))
    await gate.has(1)
    stopping = asyncio.create_task(orders.server.stop())
    refused = await refused_call(orders)
    assert refused is grpc.StatusCode.UNAVAILABLE
    gate.opened.set()
    assert (await under_way).version == 1
    await stopping
    assert inner.closed
    await orders.start()


async def refused_call(orders: Served) -> grpc.StatusCode:
    """Call until the server accepts no new calls; return the status of the call that it refused."""
    while True:
        answer = await call(orders, "/intent.v1.Commands/Describe")
        if answer.code is not grpc.StatusCode.OK:
            return answer.code


async def test_a_watcher_of_health_does_not_delay_the_shutdown(orders: Served) -> None:
    async with grpc.aio.insecure_channel(orders.server.target) as channel:
        watching = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert (await watching.read()).status == SERVING
        stopping = asyncio.create_task(orders.server.stop())
        assert (await watching.read()).status == NOT_SERVING
        await asyncio.wait_for(stopping, orders.settings.shutdown_grace / 2)


@dataclass
class Span:
    """Records its calls."""

    trace: TraceContext
    calls: list[object] = field(default_factory=list)

    def caller(self, tenant: str, actor: str) -> None:
        self.calls.append((tenant, actor))

    def command(self, command_id: str, correlation_id: str) -> None:
        self.calls.append(correlation_id)

    def finish(self, code: grpc.StatusCode, reason: str) -> None:
        self.calls.append((code.name, reason))


@dataclass
class Tracer:
    """Records the spans."""

    spans: dict[str, Span] = field(default_factory=dict)

    def start(self, method: str, trace: TraceContext) -> CallSpan:
        span = self.spans[method] = Span(TraceContext("00-" + "a" * 32 + "-" + "b" * 16 + "-01"))
        span.calls.append(trace)
        return span


async def test_a_tracer_sees_each_call_and_its_span_is_passed_on_with_the_command() -> None:
    tracer = Tracer()
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    async with served(tracer=tracer) as orders:
        data = place().SerializeToString()
        method = "/orders.v1.Orders/PlaceOrder"
        await call(orders, method, data, traceparent=trace, x_actor="ann", x_correlation_id="c-1")
        assert tracer.spans[method].calls == [TraceContext(trace), ("acme", "ann"), "c-1", ("OK", "")]
        assert orders.router.requests[0].origin.trace == tracer.spans[method].trace
        await call(orders, method, data, x_correlation_id="c-1")
        assert tracer.spans[method].calls[-1] == ("FAILED_PRECONDITION", "ORDER_ALREADY_PLACED")
