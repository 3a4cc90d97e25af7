"""The client: retries with the same command id, waits as asked, raises the server's errors."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from uuid import uuid4

import grpc
import pytest
from intent.client import IntentClient, RetryPolicy
from intent.client.retries import retrying
from intent.commands.requests import CommandRequest
from intent.contracts import Registry
from intent.errors import (
    ConfigurationError,
    DeadlineExceeded,
    InvalidCommand,
    NotFound,
    Overloaded,
    PermissionDenied,
    Rejected,
    Unavailable,
    VersionConflict,
)
from intent.model import IntendedCommand
from intent.origin import NO_TRACE, Origin, TraceContext
from intent_contracts.intent.v1 import CommandResult, CommandStatus
from intent_contracts.orders.v1 import ChangeLine, Reason

from ..service.support import MemoryRouter, Served, place, reached


async def test_the_servers_errors_are_raised_as_the_same_exceptions(orders: Served) -> None:
    client = orders.client()
    await client.execute(place())
    with pytest.raises(Rejected) as rejected:
        await client.execute(place())
    assert rejected.value.reason == Reason.ORDER_ALREADY_PLACED
    assert rejected.value.reason not in {Reason.ORDER_NOT_OPEN, Reason.ORDER_CANCELLED}
    assert rejected.value.metadata["command_id"]
    with pytest.raises(VersionConflict):
        await client.execute(ChangeLine(order_id="o-1", line_id="1", quantity=2), expected_version=9)
    with pytest.raises(NotFound) as missing:
        await client.execute(ChangeLine(order_id="o-2", line_id="1", quantity=2))
    assert missing.value.reason == Reason.ORDER_NOT_FOUND
    with pytest.raises(PermissionDenied):
        await orders.client(roles=[]).execute(place("o-3"))
    with pytest.raises(InvalidCommand) as invalid:
        await client.execute(place(""))
    assert {violation.field for violation in invalid.value.violations} == {"order_id"}


async def test_a_message_beyond_the_transports_limit_is_not_retried(orders: Served) -> None:
    huge = place()
    huge.lines[0].sku = "x" * 6_000_000
    with pytest.raises(InvalidCommand) as caught:
        await orders.client().execute(huge)
    assert caught.value.reason == "MESSAGE_TOO_LARGE"


async def test_a_repeated_id_has_one_effect(orders: Served) -> None:
    client, command_id = orders.client(), uuid4()
    answers = await asyncio.gather(*(client.execute(place(), command_id=command_id) for _ in range(50)))
    assert {answer.version for answer in answers} == {1}
    assert sum(not answer.duplicate for answer in answers) == 1
    assert await orders.store.position() == 1
    with pytest.raises(InvalidCommand) as caught:
        await client.execute(place("o-2"), command_id=command_id)
    assert caught.value.reason == "COMMAND_ID_REUSED"


async def test_submit_and_get_command(orders: Served) -> None:
    client = orders.client()
    submitted = await client.submit(place())
    await orders.router.drain(10)
    report = await client.get_command(submitted.command_id, handle=submitted.handle)
    assert report.status == CommandStatus.COMMAND_STATUS_APPLIED
    with pytest.raises(NotFound):
        await client.get_command(uuid4())


async def test_one_connection_serves_many_tenants(orders: Served) -> None:
    client = orders.client("acme")
    globex = client.acting(tenant="globex", actor="user:bob")
    await client.execute(place())
    await globex.execute(place())
    callers = [(request.origin.tenant, request.origin.actor) for request in orders.router.requests]
    assert callers == [("acme", "dev"), ("globex", "user:bob")]


TRACE = TraceContext("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "rojo=00f067aa0ba902b7")
OTHER = TraceContext("00-" + "a" * 32 + "-" + "b" * 16 + "-01", "congo=1")


@pytest.mark.parametrize(("own", "expected"), [(NO_TRACE, TRACE), (OTHER, OTHER)], ids=["none", "its own"])
async def test_a_command_that_follows_from_an_event_keeps_its_origin(
    orders: Served, own: TraceContext, expected: TraceContext
) -> None:
    client = orders.client("acme", traceparent=lambda: own.parent, tracestate=lambda: own.state)
    origin = Origin("globex", uuid4(), "story", "the-event", "consumer:shipping.known-orders", TRACE)
    await client.send(IntendedCommand(place(), origin))
    assert orders.router.requests[0].origin == origin._replace(trace=expected)


class Refusing:
    """A router that refuses some calls before it handles any."""

    def __init__(self, inner: MemoryRouter, *errors: Exception) -> None:
        self._inner = inner
        self._errors = list(errors)
        self.ids: Counter[str] = Counter()
        self.arrivals: list[float] = []

    async def handle(self, request: CommandRequest) -> CommandResult:
        self.ids[str(request.origin.command_id)] += 1
        self.arrivals.append(asyncio.get_running_loop().time())
        if self._errors:
            raise self._errors.pop(0)
        return await self._inner.handle(request)

    def close(self) -> None:
        self._inner.close()

    async def drain(self, timeout: float) -> bool:
        return await self._inner.drain(timeout)


async def refusing(orders: Served, *errors: Exception) -> Refusing:
    router = Refusing(MemoryRouter(orders.context, orders.store, orders.read_models), *errors)
    await orders.restart(router)
    return router


async def test_it_retries_when_the_server_says_so_with_the_same_id(orders: Served) -> None:
    router = await refusing(
        orders,
        Overloaded("LANE_FULL", "too much", retry_after_ms=150),
        Unavailable("TEMPORAL_UNAVAILABLE", "restarting", retry_after_ms=80),
    )
    result = await orders.client().execute(place())
    assert list(router.ids.values()) == [3]
    assert result.command_id in router.ids
    first, second, third = router.arrivals
    assert second - first >= 0.15
    assert third - second >= 0.08


async def test_errors_that_a_retry_would_not_change_are_not_retried(orders: Served) -> None:
    router = await refusing(orders, Rejected("NO", "no"))
    with pytest.raises(Rejected):
        await orders.client().execute(place())
    assert list(router.ids.values()) == [1]


async def test_after_its_timeout_it_names_the_last_failure_and_the_id(orders: Served) -> None:
    await refusing(orders, *[Overloaded("LANE_FULL", "too much", retry_after_ms=20)] * 500)
    with pytest.raises(DeadlineExceeded) as caught:
        await orders.client(timeout=2.0).execute(place())
    assert caught.value.metadata["last_reason"] == "LANE_FULL"
    assert caught.value.metadata["command_id"]
    assert isinstance(caught.value.__cause__, Overloaded)


async def test_it_waits_for_a_context_that_does_not_run_yet(orders: Served) -> None:
    port = orders.server.port
    await orders.server.stop()
    waiting = asyncio.create_task(orders.client().execute(place()))
    await asyncio.sleep(0)
    orders.settings = type(orders.settings)(port=port)
    orders.router = MemoryRouter(orders.context, orders.store, orders.read_models)
    await orders.start()
    assert (await waiting).version == 1


async def test_commands_survive_restarts_each_with_one_effect(orders: Served) -> None:
    """Every caller gets its answer though the server is stopped and started under load."""

    async def caller(name: int) -> list[CommandResult]:
        client = orders.client()
        return [await client.execute(place(f"o-{name}-{index}")) for index in range(10)]

    calling = asyncio.gather(*(caller(name) for name in range(10)))
    for position in (15, 40, 70):
        await reached(orders.store, position)
        await orders.restart()
    results = [result for results in await calling for result in results]
    assert sorted(result.position for result in results) == list(range(1, 101))
    assert {result.version for result in results} == {1}
    assert await orders.store.position() == 100


async def test_it_gives_up_after_the_timeout_when_nothing_answers() -> None:
    client = IntentClient.connect(
        "127.0.0.1:1", tenant="acme", timeout=0.2, policy=RetryPolicy(first=0.01), registry=Registry.load()
    )
    async with client:
        with pytest.raises(DeadlineExceeded):
            await client.execute(place())


def test_the_wait_grows_with_jitter_and_is_never_less_than_asked() -> None:
    policy = RetryPolicy(first=0.1, factor=2, longest=1)
    error = Unavailable("A", "a")
    for failures, own in [(1, 0.1), (2, 0.2), (4, 0.8), (9, 1.0)]:
        waits = {policy.wait(failures, error) for _ in range(50)}
        assert own / 2 <= min(waits)
        assert max(waits) <= own
        assert len(waits) > 1
    assert policy.wait(1, Overloaded("A", "a", retry_after_ms=3000)) >= 3


async def test_a_server_that_hangs_is_reported_as_one_that_gave_no_answer() -> None:
    async def hang(request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        await asyncio.Event().wait()
        return b""

    class Hanging(grpc.GenericRpcHandler):  # type: ignore[misc]
        def service(self, call: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
            return grpc.unary_unary_rpc_method_handler(hang)

    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Hanging(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with IntentClient.connect(f"127.0.0.1:{port}", tenant="acme", timeout=0.3) as client:
        with pytest.raises(DeadlineExceeded, match=r"PlaceOrder got no answer within 0\.3 s$"):
            await client.execute(place())
    await server.stop(None)


async def test_a_connection_that_breaks_at_the_deadline_is_no_cause() -> None:
    async def attempt(left: float) -> None:
        nothing = grpc.aio.Metadata()
        raise grpc.aio.AioRpcError(
            grpc.StatusCode.UNKNOWN, nothing, nothing, "Stream removed (Deadline Exceeded)"
        )

    with pytest.raises(DeadlineExceeded, match=r"the call got no answer within 9 s$"):
        await retrying(attempt, 9.0, RetryPolicy(), "the call")


def test_a_client_may_be_connected_before_its_event_loop_and_belongs_to_that() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = IntentClient.connect(f"127.0.0.1:{silent.getsockname()[1]}", tenant="acme", timeout=0.1)
        with pytest.raises(DeadlineExceeded):
            asyncio.run(client.execute(place()))
        with pytest.raises(ConfigurationError, match="connect a client of its own in each event loop"):
            asyncio.run(client.execute(place()))
        asyncio.run(client.close())
