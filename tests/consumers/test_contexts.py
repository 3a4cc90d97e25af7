"""The consumer of shipping in real processes: orders and shipping, killed and restarted."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from intent.client import IntentClient, RetryPolicy
from intent.dev.platform import ContextService, LocalPlatform
from intent.errors import NotFound
from intent_contracts.intent.v1 import ConsumerInfo
from intent_contracts.orders.v1 import CancelOrder
from intent_contracts.shipping.v1 import GetKnownOrder, KnownOrder

from ..service.support import REGISTRY, place
from .cluster import until


@pytest_asyncio.fixture(scope="module")
async def platform() -> AsyncIterator[LocalPlatform]:
    with LocalPlatform(durable=False) as running:
        await running.prepare("orders")
        await running.prepare("shipping")
        yield running


@pytest_asyncio.fixture(scope="module")
async def orders(platform: LocalPlatform) -> AsyncIterator[ContextService]:
    with platform.service("orders") as running:
        yield running


@pytest_asyncio.fixture(scope="module")
async def shipping(platform: LocalPlatform, orders: ContextService) -> AsyncIterator[ContextService]:
    with platform.service("shipping") as running:
        yield running


def client(context: ContextService, tenant: str = "acme") -> IntentClient:
    return IntentClient.connect(
        context.target, tenant=tenant, registry=REGISTRY, timeout=60, policy=RetryPolicy(longest=0.5)
    )


async def known(client: IntentClient, order_id: str, status: str) -> KnownOrder:
    """Wait until shipping knows an order in a status."""

    async def in_status() -> KnownOrder | None:
        try:
            order = await client.query(GetKnownOrder(order_id=order_id), KnownOrder)
        except NotFound:
            return None
        return order if order.status == status else None

    order: KnownOrder = await until(in_status)
    return order


async def test_shipping_knows_the_orders_of_every_tenant(
    orders: ContextService, shipping: ContextService
) -> None:
    for tenant in ("acme", "globex"):
        async with client(orders, tenant) as ordering, client(shipping, tenant) as asking:
            await ordering.execute(place(f"o-{tenant}", customer="ann"))
            order = await known(asking, f"o-{tenant}", "placed")
            assert (order.customer_id, order.line_count) == ("ann", 1)
            await ordering.execute(CancelOrder(order_id=f"o-{tenant}", reason="too dear"))
            await known(asking, f"o-{tenant}", "cancelled")
            events = [event async for event in asking.events(follow=False)]
            log = [event async for event in ordering.events(follow=False)]
            assert [event.causation_id for event in events] == [event.event_id for event in log]
            assert {event.correlation_id for event in events} == {event.correlation_id for event in log}
            assert {event.actor for event in events} == {"consumer:shipping.known-orders"}


@pytest.mark.chaos
async def test_killed_contexts_lose_no_event_and_record_each_once(
    orders: ContextService, shipping: ContextService
) -> None:
    async with client(orders, "killed") as ordering, client(shipping, "killed") as asking:
        for n in range(10):
            await ordering.execute(place(f"a-{n}"))
        shipping.kill()
        for n in range(10):
            await ordering.execute(place(f"b-{n}"))
        orders.kill()
        shipping.process.start()
        orders.process.start()
        for n in range(10):
            await ordering.execute(place(f"c-{n}"))
        for prefix in "abc":
            for n in range(10):
                await known(asking, f"{prefix}-{n}", "placed")
        events = [event async for event in asking.events(follow=False)]
        assert sorted(event.aggregate_id for event in events) == sorted(
            f"{prefix}-{n}" for prefix in "abc" for n in range(10)
        )

        async def caught_up() -> ConsumerInfo | None:
            (info,) = (await ordering.consumers.list()).consumers
            return info if info.lag == 0 and info.instances == 1 else None

        info: ConsumerInfo = await until(caught_up)
        assert (info.consumer, info.tenant_id, info.parked_streams) == ("shipping.known-orders", "", 0)
