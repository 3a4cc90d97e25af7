"""The client against a real process that is killed: PostgreSQL, Temporal and a context."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
import pytest_asyncio
from intent.client import IntentClient, RetryPolicy
from intent.dev.platform import ContextService, LocalPlatform
from intent_contracts.intent.v1 import CommandResult
from intent_contracts.orders.v1 import GetOrder, ListOrders, OrderList, OrderView

from ..service.support import REGISTRY, Follower, place

CALLERS = 8
COMMANDS = 12


@pytest_asyncio.fixture(scope="module")
async def platform() -> AsyncIterator[LocalPlatform]:
    with LocalPlatform(durable=False) as running:
        await running.prepare("orders")
        yield running


@pytest_asyncio.fixture(scope="module")
async def context(platform: LocalPlatform) -> AsyncIterator[ContextService]:
    with platform.service("orders") as running:
        yield running


def client(context: ContextService, tenant: str) -> IntentClient:
    return IntentClient.connect(
        context.target, tenant=tenant, registry=REGISTRY, timeout=60, policy=RetryPolicy(longest=0.5)
    )


@pytest.mark.chaos
async def test_killed_under_load_every_caller_is_answered_and_every_effect_is_single(
    context: ContextService,
) -> None:
    follower = Follower()
    async with (
        client(context, "killed") as calling,
        client(context, "killed") as subscriber,
        asyncio.TaskGroup() as group,
    ):
        group.create_task(follower.run(subscriber, CALLERS * COMMANDS))

        async def caller(name: int) -> list[CommandResult]:
            return [await calling.execute(place(f"o-{name}-{n}")) for n in range(COMMANDS)]

        callers = [group.create_task(caller(name)) for name in range(CALLERS)]
        for wanted in (20, 50):
            await follower.has(wanted)
            context.kill()
            context.process.start()
        await follower.has(CALLERS * COMMANDS)
        answers = [result for task in callers for result in await task]
        assert sorted(answer.position for answer in answers) == list(range(1, CALLERS * COMMANDS + 1))
        assert {answer.version for answer in answers} == {1}
        assert [event.position for event in follower.seen] == list(range(1, CALLERS * COMMANDS + 1))
        assert len({event.command_id for event in follower.seen}) == CALLERS * COMMANDS
        last = max(answer.position for answer in answers)
        listed = await calling.query(ListOrders(page_size=500), OrderList, min_position=last)
        assert len(listed.orders) == CALLERS * COMMANDS


def policies_of(pid: int) -> dict[str, int]:
    """Return the scheduling policies of a process's threads, by their names."""
    policies = {}
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):
            policies[(thread / "comm").read_text().strip()] = os.sched_getscheduler(int(thread.name))
    return policies


def test_the_threads_of_grpc_do_not_interrupt_the_event_loop(context: ContextService) -> None:
    assert context.process.pid
    threads = policies_of(context.process.pid)
    assert threads["event_engine"] == os.SCHED_BATCH
    assert threads["tokio-rt-worker"] == os.SCHED_OTHER
    assert os.sched_getscheduler(context.process.pid) == os.SCHED_OTHER


async def test_one_reads_ones_own_writes(context: ContextService) -> None:
    async with client(context, "reader") as calling:
        for index in range(5):
            result = await calling.execute(place(f"r-{index}"), applied_only=True)
            asked = GetOrder(order_id=f"r-{index}")
            view = await calling.query(asked, OrderView, min_position=result.position)
            assert view.version == result.version


async def test_an_operator_rebuilds_projections(context: ContextService) -> None:
    async with client(context, "operated") as calling:
        result = await calling.execute(place("p-1"))
        listed = await calling.projections.list()
        assert {p.name for p in listed.projections} == {"OrderViews", "OrderSummaries"}
        progress = [p async for p in calling.projections.rebuild("OrderViews")]
        assert progress[-1].done
        view = await calling.query(GetOrder(order_id="p-1"), OrderView, min_position=result.position)
        assert view.version == 1
