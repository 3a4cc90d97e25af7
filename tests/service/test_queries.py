"""Queries: typed by the contracts, and able to read one's own writes."""

from __future__ import annotations

import asyncio
import dataclasses

import grpc
import pytest
from intent.contracts import Registry
from intent.errors import HandlerFailed, NotFound, Rejected, UnknownType
from intent.model import answers
from intent.service import ServiceSettings
from intent_contracts.orders.v1 import GetOrder, ListOrders, OrderList, OrderView
from orders.context import context as orders_context
from orders.queries import OrderQueries

from ..support.harm import HARM
from .support import Served, place, served
from .wire import call

GET = "/orders.v1.Orders/GetOrder"


async def test_a_query_shows_what_a_command_wrote(orders: Served) -> None:
    client = orders.client()
    result = await client.execute(place(quantity=3))
    view = await client.query(GetOrder(order_id="o-1"), OrderView, min_position=result.position)
    assert (view.order_id, view.version, view.lines[0].quantity) == ("o-1", 1, 3)
    listed = await client.query(ListOrders(customer_id="ann"), OrderList)
    assert [order.order_id for order in listed.orders] == ["o-1"]


async def test_the_contract_determines_the_class_of_the_answer(orders: Served) -> None:
    client = orders.client()
    await client.execute(place())
    assert isinstance(await client.query(GetOrder(order_id="o-1")), OrderView)
    with pytest.raises(UnknownType):
        await client.query(place())


async def test_tenants_do_not_see_each_other(orders: Served) -> None:
    await orders.client().execute(place())
    with pytest.raises(NotFound) as caught:
        await orders.client("globex").query(GetOrder(order_id="o-1"))
    assert caught.value.reason == "ORDER_VIEW_NOT_FOUND"


async def test_an_answer_carries_the_position_of_its_read_model(orders: Served) -> None:
    await orders.client().execute(place())
    answer = await call(orders, GET, GetOrder(order_id="o-1").SerializeToString())
    assert answer.code is grpc.StatusCode.OK
    assert answer.trailers["x-position"] == "1"


async def test_it_waits_for_its_own_read_model_and_no_other(orders: Served) -> None:
    orders.read_models.held = {"OrderViews", "OrderSummaries"}
    client = orders.client()
    result = await client.execute(place())
    assert not result.projected
    query = asyncio.create_task(client.query(GetOrder(order_id="o-1"), min_position=result.position))
    await asyncio.sleep(0)
    assert not query.done()
    await orders.read_models.release("OrderViews")
    assert isinstance(await query, OrderView)


async def test_a_read_model_that_stays_behind_is_unavailable_with_a_delay() -> None:
    async with served(settings=ServiceSettings(min_position_wait=0.1)) as orders:
        orders.read_models.held = {"OrderViews"}
        await orders.client().execute(place())
        answer = await call(orders, GET, GetOrder(order_id="o-1").SerializeToString(), x_min_position="1")
        assert (answer.code, answer.info.reason) == (grpc.StatusCode.UNAVAILABLE, "READ_MODEL_BEHIND")
        assert answer.retry_after_ms > 0
        assert answer.info.metadata["projection"] == "OrderViews"
        listed = await call(
            orders, "/orders.v1.Orders/ListOrders", ListOrders().SerializeToString(), x_min_position="1"
        )
        assert listed.code is grpc.StatusCode.OK


async def test_the_callers_deadline_bounds_the_wait(orders: Served) -> None:
    orders.read_models.held = {"OrderViews"}
    await orders.client().execute(place())
    data = GetOrder(order_id="o-1").SerializeToString()
    answer = await call(orders, GET, data, timeout=0.6, x_min_position="1")
    assert answer.code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


async def test_a_position_beyond_the_log_is_refused_at_once(orders: Served) -> None:
    for tenant in ("acme", "globex"):
        await orders.client(tenant).execute(place())
    with pytest.raises(Rejected) as caught:
        await orders.client().query(GetOrder(order_id="o-1"), min_position=99)
    assert caught.value.reason == "POSITION_BEYOND_LOG"
    # Where the log ends would say how much other tenants do.
    assert caught.value.metadata == {"wanted": "99"}
    assert "2" not in caught.value.message


async def test_queries_need_their_roles(orders: Served) -> None:
    answer = await call(orders, GET, GetOrder(order_id="o-1").SerializeToString(), x_roles="auditor")
    assert answer.code is grpc.StatusCode.PERMISSION_DENIED


async def test_queries_are_checked_against_their_contract(orders: Served) -> None:
    answer = await call(orders, GET, GetOrder().SerializeToString())
    assert (answer.code, list(answer.fields)) == (grpc.StatusCode.INVALID_ARGUMENT, ["order_id"])


@pytest.mark.parametrize("kind", HARM)
async def test_a_query_that_hangs_or_raises_anything_costs_itself(kind: str) -> None:
    class Harmful(OrderQueries):
        @answers
        async def get_order(self, query: GetOrder) -> OrderView:
            if query.order_id == "bad":
                HARM[kind]()
            return await super().get_order(query)

    context = dataclasses.replace(orders_context, queries=Harmful)
    async with served(context=context.bind(Registry.load())) as orders:
        client = orders.client()
        await client.execute(place())
        with pytest.raises(HandlerFailed):
            await client.query(GetOrder(order_id="bad"))
        assert isinstance(await client.query(GetOrder(order_id="o-1")), OrderView)
