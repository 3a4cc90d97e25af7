"""Four contexts are killed and restarted under load, and a verdict names what does not hold."""

from __future__ import annotations

import pytest
from intent.dev.platform import LocalPlatform
from intent_contracts.intent.v1 import SagaInfo, SagaStatus
from intent_contracts.inventory.v1 import StockReserved
from intent_contracts.orders.v1 import Money, OrderStatus, OrderView
from payments.ledger import Charge

from demo.books import Books, Outcome

from .forgetful import ForgetfulStorm
from .orders import OrderStorm, plan_of, running
from .outages import outages_planned
from .read_only import PARKS_SOON, ReadOnlyStorm, plan_without_trouble
from .verdict import Verdict, saga_of


@pytest.mark.chaos
async def test_orders_through_four_contexts_that_are_killed_add_up() -> None:
    plan = plan_of(seed=5, orders=12, tenants=2)
    # Not the fast PostgreSQL of other tests: when killed, it loses what it has just confirmed.
    with LocalPlatform(durable=True) as platform:
        async with running(platform) as services:
            storm = OrderStorm(platform, services, plan, seconds=6, kills=6, seed=5)
            result = await storm.blow()
    assert result.problems == []
    assert result.kills == 6
    assert result.outcomes.total() == 12
    assert len(result.outcomes) > 1


@pytest.mark.chaos
async def test_a_context_that_cannot_write_makes_no_saga_compensate() -> None:
    plan = plan_without_trouble(seed=3, orders=12, tenants=2)
    with LocalPlatform(durable=False) as platform:
        async with running(platform, PARKS_SOON) as services:
            storm = ReadOnlyStorm(platform, services, plan, seconds=25, kills=1, seed=3)
            result = await storm.blow()
    assert result.problems == []
    assert result.outcomes.total() == 12


@pytest.mark.chaos
async def test_sagas_come_back_from_the_logs_when_temporal_has_lost_its_data() -> None:
    plan = plan_without_trouble(seed=4, orders=12, tenants=2)
    with LocalPlatform(durable=False, keep_workflows=False) as platform:
        async with running(platform) as services:
            result = await ForgetfulStorm(platform, services, plan, seconds=6, kills=1, seed=4).blow()
    assert result.problems == []
    assert result.outcomes == {Outcome.DELIVERED: 12}


def test_everything_is_killed_in_turn_and_a_seed_repeats_it() -> None:
    names = ["orders", "payments", "PostgreSQL"]
    planned = outages_planned(names, seed=3, seconds=60, kills=7)
    assert planned == outages_planned(names, seed=3, seconds=60, kills=7)
    assert sorted(len(own) for own in planned.values()) == [2, 2, 3]
    assert all(0 <= outage.moment <= 60 for own in planned.values() for outage in own)


def charge(**further: int) -> Charge:
    amounts = {
        "authorized": 450,
        "authorizations": 1,
        "captured": 0,
        "captures": 0,
        "refunded": 0,
        "voids": 0,
    }
    return Charge(key="shop/o-1", currency="EUR", expiries=0, **{**amounts, **further})


def judged(status: OrderStatus.ValueType, saga: SagaInfo, provider: Charge, *types: str) -> str:
    """Return the verdict on one order."""
    total = Money(minor_units=450, currency="EUR")
    orders = {"o-1": OrderView(order_id="o-1", status=status, total=total)}
    books = Books("shop", {}, {}, orders, {}, {}, {})
    data = StockReserved(order_id="o-1").SerializeToString()
    log = [{"tenant": "shop", "aggregate_id": "o-1", "type": type_, "data": data} for type_ in types]
    return "\n".join(Verdict([books], [saga], [provider], [log]).problems())


def saga(status: SagaStatus.ValueType) -> SagaInfo:
    info = SagaInfo(id=saga_of("shop", "o-1"), status=status, step="ReleaseStock")
    if status != SagaStatus.SAGA_STATUS_STUCK:
        info.ended_at.GetCurrentTime()
    return info


def test_a_verdict_names_the_order_its_saga_and_what_is_off() -> None:
    cancelled, completed = OrderStatus.ORDER_STATUS_CANCELLED, OrderStatus.ORDER_STATUS_COMPLETED
    undone, complete = saga(SagaStatus.SAGA_STATUS_COMPENSATED), saga(SagaStatus.SAGA_STATUS_COMPLETED)
    reserved, released = "inventory.v1.StockReserved", "inventory.v1.StockReleased"
    assert judged(cancelled, undone, charge(voids=1), reserved, released) == ""
    name = "order o-1 of shop (saga orders.v1.FulfilOrder/shop/o-1): "
    assert f"{name}its stock does not add up" in judged(cancelled, undone, charge(voids=1), reserved)
    assert f"{name}the provider says: 450 are held" in judged(cancelled, undone, charge())
    charged = charge(captured=900, captures=2)
    assert f"{name}the provider says: it is charged twice" in judged(completed, complete, charged)
    assert f"{name}captured 0 times" in judged(completed, complete, charge())
    assert f"{name}it is completed, its saga" in judged(completed, undone, charge())
    stuck = judged(cancelled, saga(SagaStatus.SAGA_STATUS_STUCK), charge(voids=1))
    assert "saga orders.v1.FulfilOrder/shop/o-1 is not over: stuck, at ReleaseStock" in stuck
