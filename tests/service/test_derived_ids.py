"""Ids of commands that can be computed are for those who derive them."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4, uuid5

import grpc
import pytest
from intent.model.reaction import command_id_of
from intent.sagas import SagaIdentity
from intent.sagas.outbox import Outbox
from intent_contracts.intent.v1 import GetCommandRequest, GetCommandResponse
from intent_contracts.orders.v1 import ConfirmOrder

from .support import Served, place
from .wire import Answer, call, execute

CUSTOMER: dict[str, Any] = {"x_actor": "user:eve", "x_roles": "customer"}
CONFIRM = ConfirmOrder(order_id="o-1")
EVENT = UUID("0198f6a0-0000-7000-8000-000000000000")
GET = "/intent.v1.Commands/GetCommand"


def of_a_step() -> str:
    """Return the id of the command that a step of a saga sends, as anybody can compute it."""
    saga = SagaIdentity("orders.v1.FulfilOrder/acme/o-1", [CONFIRM.DESCRIPTOR.full_name])
    return Outbox(saga).envelope("4", CONFIRM).command_id


DERIVED = (
    of_a_step(),
    str(command_id_of("shop.noted", EVENT, "1")),
    str(uuid5(EVENT, "chosen")),
)


async def placed(orders: Served, command_id: str, generic: bool, **metadata: Any) -> Answer:
    """Send a command that the caller may send, by its typed method or by the generic one."""
    method, data = "/orders.v1.Orders/PlaceOrder", place(customer="eve").SerializeToString()
    if generic:
        method, data = "/intent.v1.Commands/Execute", execute(place(customer="eve"))
    return await call(orders, method, data, x_command_id=command_id, **metadata)


async def found(orders: Served, command_id: str, **metadata: Any) -> Answer:
    request = GetCommandRequest(command_id=command_id)
    return await call(orders, GET, request.SerializeToString(), **metadata)


@pytest.mark.parametrize("generic", [False, True])
@pytest.mark.parametrize("command_id", DERIVED)
async def test_a_caller_chooses_no_id_that_others_derive(
    orders: Served, command_id: str, generic: bool
) -> None:
    for written in (command_id, command_id.upper(), f"urn:uuid:{command_id}", UUID(command_id).hex):
        refused = await placed(orders, written, generic, **CUSTOMER)
        assert (refused.code, refused.info.reason) == (
            grpc.StatusCode.INVALID_ARGUMENT,
            "METADATA_MALFORMED",
        )
        assert "another version than 5" in refused.fields["x-command-id"]
    assert not orders.router.requests
    assert (await placed(orders, str(uuid4()), generic, **CUSTOMER)).code is grpc.StatusCode.OK


@pytest.mark.parametrize("role", ["consumer", "service", "consumer-all", "operator", "*"])
async def test_who_follows_events_derives_ids(orders: Served, role: str) -> None:
    command_id = of_a_step()
    roles = f"customer,{role}"
    sent = await placed(orders, command_id, generic=True, x_actor="user:eve", x_roles=roles)
    assert sent.code is grpc.StatusCode.OK
    answer = await found(orders, command_id, x_roles=roles)
    assert GetCommandResponse.FromString(answer.data).outcome.result.version == 1


async def test_what_became_of_a_step_is_not_told_to_whoever_knows_of_it(orders: Served) -> None:
    step, own = of_a_step(), str(uuid4())
    await placed(orders, step, generic=True)
    await call(orders, "/orders.v1.Orders/ConfirmOrder", CONFIRM.SerializeToString(), x_command_id=own)
    for command_id in (step, str(uuid5(uuid4(), "none"))):
        hidden = await found(orders, command_id, **CUSTOMER)
        assert (hidden.code, hidden.info.reason) == (grpc.StatusCode.NOT_FOUND, "COMMAND_NOT_FOUND")
    assert (await found(orders, own, **CUSTOMER)).code is grpc.StatusCode.OK
