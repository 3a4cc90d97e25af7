"""Commands over gRPC, typed and generic: each caller gets a clear answer."""

from __future__ import annotations

import asyncio
import logging
from uuid import UUID, uuid4

import grpc
import pytest
from intent.commands.requests import CommandRequest
from intent.errors import Overloaded, StoreUnavailable
from intent.identity import DevIdentityProvider
from intent.origin import NO_TRACE, Origin, TraceContext
from intent_contracts.intent.v1 import (
    CommandResult,
    CommandStatus,
    ExecuteRequest,
    GetCommandRequest,
    GetCommandResponse,
    SubmitRequest,
    SubmitResponse,
)
from intent_contracts.orders.v1 import CancelOrder, ConfirmOrder

from .support import MemoryRouter, Served, place, served
from .wire import call, execute

PLACE = "/orders.v1.Orders/PlaceOrder"
EXECUTE = "/intent.v1.Commands/Execute"
SUBMIT = "/intent.v1.Commands/Submit"


@pytest.mark.parametrize("generic", [False, True])
async def test_a_command_returns_its_result(orders: Served, generic: bool) -> None:
    command_id = str(uuid4())
    method, data = (EXECUTE, execute(place())) if generic else (PLACE, place().SerializeToString())
    answer = await call(orders, method, data, x_command_id=command_id)
    assert answer.code is grpc.StatusCode.OK
    result = CommandResult.FromString(answer.data)
    assert (result.command_id, result.context, result.aggregate_id) == (command_id, "orders", "o-1")
    assert (result.version, result.position, result.projected) == (1, 1, True)


async def test_metadata_reaches_the_command(orders: Served) -> None:
    trace = TraceContext("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "rojo=00f067aa0ba902b7")
    command_id = uuid4()
    await call(
        orders,
        PLACE,
        place().SerializeToString(),
        x_command_id=str(command_id),
        x_actor="user:ann",
        x_correlation_id="correlation-1",
        x_causation_id="cause-1",
        x_expected_version="0",
        x_consistency="applied",
        traceparent=trace.parent,
        tracestate=trace.state,
    )
    request: CommandRequest = orders.router.requests[0]
    assert request.origin == Origin("acme", command_id, "correlation-1", "cause-1", "user:ann", trace)
    assert (request.expected_version, request.applied_only) == (0, True)


async def test_what_the_caller_leaves_out_is_filled_in(orders: Served) -> None:
    answer = await call(orders, PLACE, place().SerializeToString(), traceparent="garbage")
    result = CommandResult.FromString(answer.data)
    request: CommandRequest = orders.router.requests[0]
    origin = request.origin
    assert UUID(result.command_id) == origin.command_id
    assert origin.correlation_id == result.command_id
    assert (request.expected_version, request.applied_only, origin.trace) == (None, False, NO_TRACE)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("x_command_id", "not-a-uuid"),
        ("x_command_id", ""),
        ("x_expected_version", "-1"),
        ("x_expected_version", "one"),
        ("x_expected_version", "9" * 30),
        ("x_consistency", "eventual"),
        ("x_correlation_id", "with space"),
        ("x_tenant_id", "No Tenant"),
    ],
)
async def test_malformed_metadata_is_an_invalid_argument_that_names_the_field(
    orders: Served, key: str, value: str
) -> None:
    answer = await call(orders, PLACE, place().SerializeToString(), **{key: value})  # type: ignore[arg-type]
    assert answer.code is grpc.StatusCode.INVALID_ARGUMENT
    assert key.replace("_", "-") in answer.fields
    assert await orders.store.position() == 0


@pytest.mark.parametrize(
    "method", [PLACE, EXECUTE, "/intent.v1.Commands/Submit", "/orders.v1.Orders/GetOrder"]
)
async def test_malformed_bytes_are_an_invalid_argument_with_details(orders: Served, method: str) -> None:
    answer = await call(orders, method, b"\xff\xff\xff")
    assert answer.code is grpc.StatusCode.INVALID_ARGUMENT
    assert (answer.info.reason, answer.info.domain) == ("MALFORMED_MESSAGE", "orders")


async def test_malformed_bytes_inside_an_envelope_are_an_invalid_argument(orders: Served) -> None:
    request = ExecuteRequest()
    request.command.type_url = "type.googleapis.com/orders.v1.PlaceOrder"
    request.command.value = b"\xff\xff\xff"
    answer = await call(orders, EXECUTE, request.SerializeToString())
    assert (answer.code, answer.info.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "MALFORMED_MESSAGE")


async def test_broken_field_rules_name_each_field(orders: Served) -> None:
    command = place()
    command.customer_id = ""
    command.lines[0].quantity = 0
    answer = await call(orders, PLACE, command.SerializeToString())
    assert answer.code is grpc.StatusCode.INVALID_ARGUMENT
    assert {"customer_id", "lines[0].quantity"} <= answer.fields.keys()


async def test_the_error_for_an_oversize_command_names_its_size_and_the_limit(orders: Served) -> None:
    command = place()
    command.lines[0].sku = "x" * 300_000
    answer = await call(orders, PLACE, command.SerializeToString())
    assert (answer.code, answer.info.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "MESSAGE_TOO_LARGE")
    assert answer.info.metadata["limit"] == str(256 * 1024)
    answer = await call(orders, EXECUTE, execute(command))
    assert answer.info.reason == "MESSAGE_TOO_LARGE"


async def test_beyond_the_transports_limit_grpc_itself_refuses(orders: Served) -> None:
    answer = await call(orders, PLACE, b"x" * 600_000)
    assert answer.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert (await call(orders, PLACE, place().SerializeToString())).code is grpc.StatusCode.OK


async def test_a_business_rule_is_a_failed_precondition_with_its_reason(orders: Served) -> None:
    await call(orders, PLACE, place().SerializeToString())
    command_id = str(uuid4())
    answer = await call(orders, PLACE, place().SerializeToString(), x_command_id=command_id)
    assert answer.code is grpc.StatusCode.FAILED_PRECONDITION
    assert (answer.info.reason, answer.info.domain) == ("ORDER_ALREADY_PLACED", "orders")
    assert answer.trailers["x-command-id"] == command_id
    assert answer.message


async def test_a_failure_carries_the_generated_command_id(orders: Served) -> None:
    await call(orders, PLACE, place().SerializeToString())
    answer = await call(orders, PLACE, place().SerializeToString())
    assert UUID(answer.trailers["x-command-id"]) == orders.router.requests[-1].origin.command_id


async def test_a_repeated_rejection_is_marked(orders: Served) -> None:
    await call(orders, PLACE, place().SerializeToString())
    command_id = str(uuid4())
    first = await call(orders, PLACE, place().SerializeToString(), x_command_id=command_id)
    again = await call(orders, PLACE, place().SerializeToString(), x_command_id=command_id)
    assert "x-duplicate" not in first.info.metadata
    assert again.info.metadata["x-duplicate"] == "true"


async def test_missing_aggregates_and_wrong_versions_have_their_codes(orders: Served) -> None:
    confirm = ConfirmOrder(order_id="missing").SerializeToString()
    answer = await call(orders, "/orders.v1.Orders/ConfirmOrder", confirm)
    assert answer.code is grpc.StatusCode.NOT_FOUND
    answer = await call(orders, PLACE, place().SerializeToString(), x_expected_version="7")
    assert answer.code is grpc.StatusCode.ABORTED


async def test_the_error_for_a_missing_tenant_says_how_to_send_one(orders: Served) -> None:
    answer = await call(orders, PLACE, place().SerializeToString(), x_tenant_id="")
    assert (answer.code, answer.info.reason) == (grpc.StatusCode.UNAUTHENTICATED, "TENANT_MISSING")
    assert "x-tenant-id" in answer.message


async def test_a_tenant_for_which_the_caller_may_not_act_is_denied() -> None:
    known = DevIdentityProvider(
        dev_mode=True, default_roles=frozenset({"*"}), tenants=frozenset({"acme", "globex"})
    )
    async with served(identities=known) as orders:
        answer = await call(orders, PLACE, place().SerializeToString(), x_tenant_id="umbrella")
        assert (answer.code, answer.info.reason) == (grpc.StatusCode.PERMISSION_DENIED, "TENANT_DENIED")


@pytest.mark.parametrize("generic", [False, True])
async def test_without_the_contracts_role_it_is_denied(orders: Served, generic: bool) -> None:
    confirm = ConfirmOrder(order_id="o-1")
    method, data = (
        (EXECUTE, execute(confirm))
        if generic
        else ("/orders.v1.Orders/ConfirmOrder", confirm.SerializeToString())
    )
    answer = await call(orders, method, data, x_roles="customer")
    assert (answer.code, answer.info.reason) == (grpc.StatusCode.PERMISSION_DENIED, "ROLE_MISSING")
    assert answer.info.metadata["needed"] == "service"
    assert not orders.router.requests


async def test_unknown_methods_name_the_nearest(orders: Served) -> None:
    answer = await call(orders, "/orders.v1.Orders/PlaceOrdr")
    assert (answer.code, answer.info.reason) == (grpc.StatusCode.UNIMPLEMENTED, "UNKNOWN_METHOD")
    assert PLACE in answer.message
    answer = await call(orders, "/nothing.v1.Nothing/Like")
    assert answer.code is grpc.StatusCode.UNIMPLEMENTED


async def test_unknown_command_types_are_refused(orders: Served) -> None:
    request = ExecuteRequest()
    request.command.type_url = "type.googleapis.com/orders.v1.ShredOrder"
    answer = await call(orders, EXECUTE, request.SerializeToString())
    assert (answer.code, answer.info.reason) == (grpc.StatusCode.UNIMPLEMENTED, "UNKNOWN_COMMAND")
    answer = await call(orders, EXECUTE, ExecuteRequest().SerializeToString())
    assert answer.code is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_submitted_command_is_found_again(orders: Served) -> None:
    request = SubmitRequest()
    request.command.Pack(place())
    answer = await call(orders, SUBMIT, request.SerializeToString())
    submitted = SubmitResponse.FromString(answer.data)
    assert submitted.handle
    await orders.router.drain(10)
    lookup = GetCommandRequest(command_id=submitted.command_id, handle=submitted.handle)
    answer = await call(orders, "/intent.v1.Commands/GetCommand", lookup.SerializeToString())
    report = GetCommandResponse.FromString(answer.data)
    assert report.status == CommandStatus.COMMAND_STATUS_APPLIED
    assert report.outcome.result.version == 1


async def test_commands_of_other_tenants_are_not_found(orders: Served) -> None:
    command_id = str(uuid4())
    await call(orders, PLACE, place().SerializeToString(), x_command_id=command_id)
    lookup = GetCommandRequest(command_id=command_id).SerializeToString()
    answer = await call(orders, "/intent.v1.Commands/GetCommand", lookup, x_tenant_id="globex")
    assert answer.code is grpc.StatusCode.NOT_FOUND


class Failing:
    """A router that fails with a given error."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def handle(self, request: CommandRequest) -> CommandResult:
        raise self.error

    def close(self) -> None:
        pass

    async def drain(self, timeout: float) -> bool:
        return True


async def failing(orders: Served, error: Exception) -> None:
    await orders.restart(Failing(error))


async def test_the_error_of_a_full_lane_says_when_to_retry(orders: Served) -> None:
    await failing(orders, Overloaded("LANE_FULL", "too much at once", retry_after_ms=700))
    answer = await call(orders, PLACE, place().SerializeToString())
    assert (answer.code, answer.info.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "LANE_FULL")
    assert answer.retry_after_ms == 700


async def test_an_unavailable_store_is_unavailable_with_a_delay(orders: Served) -> None:
    await failing(orders, StoreUnavailable("password of postgres://secret"))
    answer = await call(orders, PLACE, place().SerializeToString())
    assert (answer.code, answer.info.reason) == (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")
    assert answer.retry_after_ms > 0
    assert "secret" not in answer.message


async def test_a_defect_is_internal_with_an_id_that_the_log_has(
    orders: Served, caplog: pytest.LogCaptureFixture
) -> None:
    await failing(orders, ZeroDivisionError("the internals"))
    with caplog.at_level(logging.ERROR, "intent.service"):
        answer = await call(orders, PLACE, place().SerializeToString())
    assert answer.code is grpc.StatusCode.INTERNAL
    error_id = answer.info.metadata["error_id"]
    assert error_id in answer.message
    assert "internals" not in str(answer)
    assert "Traceback" not in str(answer)
    (record,) = [record for record in caplog.records if error_id in record.getMessage()]
    assert record.exc_info is not None
    describe = await call(orders, "/intent.v1.Commands/Describe")
    assert describe.code is grpc.StatusCode.OK


class Slow:
    """A router that accepts commands and handles them only when `resume` is set."""

    def __init__(self, inner: MemoryRouter) -> None:
        self._inner = inner
        self.accepted = asyncio.Event()
        self.resume = asyncio.Event()
        self.done = asyncio.Event()

    async def handle(self, request: CommandRequest) -> CommandResult:
        return await asyncio.shield(asyncio.create_task(self._handle(request)))

    async def _handle(self, request: CommandRequest) -> CommandResult:
        self.accepted.set()
        await self.resume.wait()
        try:
            return await self._inner.handle(request)
        finally:
            self.done.set()

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)


async def test_past_the_deadline_the_call_ends_and_the_command_continues(orders: Served) -> None:
    slow = Slow(MemoryRouter(orders.context, orders.store, orders.read_models))
    await orders.restart(slow)
    command_id = str(uuid4())
    answer = await call(orders, PLACE, place().SerializeToString(), timeout=0.3, x_command_id=command_id)
    assert answer.code is grpc.StatusCode.DEADLINE_EXCEEDED
    await slow.accepted.wait()
    slow.resume.set()
    await slow.done.wait()
    again = await call(orders, PLACE, place().SerializeToString(), x_command_id=command_id)
    result = CommandResult.FromString(again.data)
    assert (result.version, result.duplicate) == (1, True)


async def test_cancel_reasons_are_checked_like_any_field(orders: Served) -> None:
    answer = await call(
        orders, "/orders.v1.Orders/CancelOrder", CancelOrder(order_id="o-1").SerializeToString()
    )
    assert "reason" in answer.fields
