"""Callers who may act only on what is their own, over gRPC."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from intent.contracts import Owner
from intent.errors import NotFound, PermissionDenied
from intent_contracts.intent.v1 import DescribeResponse
from intent_contracts.orders.v1 import (
    CancelOrder,
    GetOrder,
    ListOrders,
    OrderList,
    OrderView,
    PlaceOrder,
)

from .support import Served, place
from .wire import Answer, call, execute

DENIED = (grpc.StatusCode.PERMISSION_DENIED, "NOT_THE_OWNER")


def cancel(order: str) -> CancelOrder:
    return CancelOrder(order_id=order, reason="changed my mind")


async def sent(
    orders: Served,
    command: Message,
    *,
    actor: str,
    roles: str = "customer",
    generic: bool,
    **metadata: Any,
) -> Answer:
    """Send a command by its typed method, or by the generic one."""
    method, data = f"/orders.v1.Orders/{command.DESCRIPTOR.name}", command.SerializeToString()
    if generic:
        method, data = "/intent.v1.Commands/Execute", execute(command)
    return await call(orders, method, data, x_actor=actor, x_roles=roles, **metadata)


@pytest.mark.parametrize("generic", [False, True])
async def test_a_customer_places_orders_for_herself(orders: Served, generic: bool) -> None:
    for command in (place(customer="bob"), place(customer="user:ann"), PlaceOrder(customer_id="bob")):
        refused = await sent(orders, command, actor="user:ann", generic=generic)
        if command.order_id:
            assert (refused.code, refused.info.reason) == DENIED
            assert "where customer_id is ann" in refused.message
        else:
            assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert not orders.router.requests, "it is refused before anything is read or written"
    assert (await sent(orders, place(), actor="user:ann", generic=generic)).code is grpc.StatusCode.OK
    assert orders.router.requests[0].owner is None


@pytest.mark.parametrize("generic", [False, True])
async def test_a_customer_cancels_her_own_orders(orders: Served, generic: bool) -> None:
    await orders.client().execute(place())
    theirs = await sent(orders, cancel("o-1"), actor="user:bob", generic=generic)
    missing = await sent(orders, cancel("o-2"), actor="user:bob", generic=generic)
    assert (theirs.code, theirs.info.reason) == DENIED
    assert (missing.code, missing.info, missing.message) == (theirs.code, theirs.info, theirs.message)
    assert orders.router.requests[-1].owner == Owner("bob", ("customer_id",))
    assert (await sent(orders, cancel("o-1"), actor="user:ann", generic=generic)).code is grpc.StatusCode.OK


@pytest.mark.parametrize("roles", ["service", "customer,service", "*"])
async def test_another_role_that_suffices_lifts_it(orders: Served, roles: str) -> None:
    answer = await sent(orders, place(customer="bob"), actor="user:ann", roles=roles, generic=False)
    assert answer.code is grpc.StatusCode.OK
    answer = await sent(orders, cancel("o-1"), actor="user:ann", roles=roles, generic=False)
    assert answer.code is grpc.StatusCode.OK
    client = orders.client(actor="user:ann", roles=roles.split(","))
    assert (await client.query(GetOrder(order_id="o-1"), OrderView)).customer_id == "bob"


async def test_a_service_of_the_same_name_is_somebody_else(orders: Served) -> None:
    await orders.client().execute(place())
    for actor in ("service:ann", "partner:ann"):
        refused = await sent(orders, cancel("o-1"), actor=actor, generic=False)
        assert (refused.code, refused.info.reason) == DENIED
        with pytest.raises(NotFound):
            await orders.client(actor=actor, roles=["customer"]).query(GetOrder(order_id="o-1"))


async def test_a_customer_reads_what_is_hers(orders: Served) -> None:
    for order, customer in (("o-1", "ann"), ("o-2", "bob"), ("o-3", "ann")):
        await orders.client().execute(place(order, customer=customer))
    ann = orders.client(actor="user:ann", roles=["customer"])
    assert (await ann.query(GetOrder(order_id="o-1"), OrderView)).order_id == "o-1"
    seen = []
    for order in ("o-2", "o-9"):
        with pytest.raises(NotFound) as missing:
            await ann.query(GetOrder(order_id=order))
        seen.append((missing.value.reason, missing.value.message.replace(order, "it")))
    assert seen == [("ORDER_VIEW_NOT_FOUND", "there is no order view it")] * 2
    everything = await ann.query(ListOrders(), OrderList)
    assert [row.order_id for row in everything.orders] == ["o-3", "o-1"]
    assert not (await ann.query(ListOrders(customer_id="bob"), OrderList)).orders


@pytest.mark.parametrize("generic", [False, True])
async def test_no_version_of_what_is_somebody_elses_is_told(orders: Served, generic: bool) -> None:
    await orders.client().execute(place())
    eves = place(customer="eve")
    for expected, reason in (
        ("1", "METADATA_MALFORMED"),
        ("999", "METADATA_MALFORMED"),
        ("0", "VERSION_CONFLICT"),
    ):
        refused = await sent(orders, eves, actor="user:eve", generic=generic, x_expected_version=expected)
        assert refused.info.reason == reason
        assert "at version" not in refused.message
        assert "actual_version" not in refused.info.metadata
    assert [request.expected_version for request in orders.router.requests[1:]] == [0]
    anns = await sent(orders, cancel("o-1"), actor="user:ann", generic=generic, x_expected_version="7")
    assert (anns.info.reason, anns.info.metadata["actual_version"]) == ("VERSION_CONFLICT", "1")
    shops = await sent(
        orders, eves, actor="user:eve", roles="service", generic=generic, x_expected_version="7"
    )
    assert (shops.info.reason, shops.info.metadata["actual_version"]) == ("VERSION_CONFLICT", "1")


async def test_an_actor_without_a_name_is_nobody(orders: Served) -> None:
    """Its subject must not be equal to a field that is empty, as that of an order that does not exist."""
    refused = await sent(orders, cancel("o-1"), actor="user:", generic=False)
    assert (refused.code, refused.info.reason) == DENIED


async def test_the_client_learns_why(orders: Served) -> None:
    eve = orders.client(actor="user:eve", roles=["customer"])
    with pytest.raises(PermissionDenied) as denied:
        await eve.execute(place())
    assert denied.value.reason == "NOT_THE_OWNER"
    assert denied.value.metadata["subject"] == "eve"


async def test_what_is_owned_is_described(orders: Served) -> None:
    answer = await call(orders, "/intent.v1.Commands/Describe")
    described = DescribeResponse.FromString(answer.data)
    commands = {(c.type, o.role, o.WhichOneof("by")) for c in described.commands for o in c.owned}
    queries = {(q.type, o.role, o.WhichOneof("by")) for q in described.queries for o in q.owned}
    assert commands | queries == {
        ("orders.v1.PlaceOrder", "customer", "field"),
        ("orders.v1.CancelOrder", "customer", "state_field"),
        ("orders.v1.ChangeLine", "customer", "state_field"),
        ("orders.v1.CheckOutOrder", "customer", "state_field"),
        ("orders.v1.GetOrder", "customer", "row_field"),
        ("orders.v1.ListOrders", "customer", "row_field"),
    }
