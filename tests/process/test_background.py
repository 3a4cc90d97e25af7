"""The background tasks of a process: no fault of PostgreSQL ends one, and one that ended is reported."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from uuid import uuid4

import pytest
import pytest_asyncio
from google.protobuf.json_format import MessageToDict
from intent.background import Background
from intent.client import IntentClient, RetryPolicy
from intent.dev.services import Postgres, TemporalServer
from intent.errors import CommandError
from intent.model import BoundContext, Consumer, EventMetadata, consumes
from intent.process.assembly import ContextProcess
from intent.process.sockets import free_ports
from intent.waiting import now
from intent_contracts.orders.v1 import GetOrder, OrderPlaced, OrderView
from prometheus_client.parser import text_string_to_metric_families

from ..support.command_path import eventually, place, settings_on
from ..support.databases import Database, create_database, drop_database
from ..support.faults import FAULTS, fault

ENDLESS = {
    "consumers: feed",
    "consumers: forget",
    "consumers: lease",
    "consumers: metrics",
    "consumers: wake",
    "doubts",
    "health",
    "log-listener",
    "projection OrderSummaries",
    "projection OrderViews",
    "projections: feed",
    "backlog",
    "current version",
    "worker orders-commands",
    "worker orders-sagas",
}
"""The tasks that a process has for as long as it runs."""


class Watching(Consumer):
    """Notes the orders that were placed."""

    name = "tests.watching"

    def __init__(self) -> None:
        self.seen: set[str] = set()

    @consumes
    def placed(self, event: OrderPlaced, meta: EventMetadata) -> None:
        self.seen.add(meta.aggregate_id)


@dataclass
class Process:
    """A process of orders, and what its callers notice.

    Attributes:
        process: The process.
        database: Its database.
        client: A caller.
        metrics: The port of its metrics.
        consumer: A consumer that is connected to it.
        subscribed: The orders whose events a subscriber has received.
    """

    process: ContextProcess
    database: Database
    client: IntentClient
    metrics: int
    consumer: Watching = field(default_factory=Watching)
    subscribed: set[str] = field(default_factory=set)

    async def follow(self) -> None:
        """Subscribe to the events."""
        async with aclosing(self.client.events()) as events:  # type: ignore[type-var]
            async for event in events:
                self.subscribed.add(event.aggregate_id)

    async def readyz(self) -> tuple[int, Mapping[str, str]]:
        """Return the status and the problems."""
        status, body = await asyncio.to_thread(_get, self.metrics, "/readyz")
        problems: Mapping[str, str] = json.loads(body)["problems"]
        return status, problems

    async def lag(self) -> float:
        """Return how far behind the read models are, as the metrics say."""
        _, text = await asyncio.to_thread(_get, self.metrics, "/metrics")
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == "intent_projection_lag"
        )

    async def works(self) -> None:
        """Check that everything in the process does its work."""
        order_id = uuid4().hex
        placed = await self.client.execute(place(order_id))
        query = GetOrder(order_id=order_id)
        view = await self.client.query(query, OrderView, min_position=placed.position)
        assert view.order_id == order_id, MessageToDict(view)

        async def arrived() -> bool:
            return order_id in self.subscribed and order_id in self.consumer.seen

        async def healthy() -> bool:
            return await self.readyz() == (200, {}) and await self.lag() == 0

        await eventually(arrived, 15)
        await eventually(healthy, 15)
        assert self.process.background.ended == {}
        assert self.process.background.names >= ENDLESS


def _holds(condition: Callable[[], bool]) -> Callable[[], Awaitable[bool]]:
    async def check() -> bool:
        return condition()

    return check


def _get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest_asyncio.fixture(scope="module")
async def running(
    postgres: Postgres, template: str, temporal: TemporalServer, bound: BoundContext
) -> AsyncIterator[Process]:
    """A process, with everything in it that runs in the background."""
    name = await create_database(postgres, template)
    database = Database.of(postgres, name, "orders")
    port, metrics = free_ports(2)
    settings = await settings_on(database, temporal, bound, build_id="tests")
    settings = settings.model_copy(update={"port": port, "metrics_port": metrics})
    process = ContextProcess(settings, bound)
    client = IntentClient.connect(
        f"127.0.0.1:{port}", tenant="acme", timeout=20, policy=RetryPolicy(longest=0.5)
    )
    async with process.started(), client:
        running = Process(process, database, client, metrics)
        runner = client.acting(roles=["consumer"], actor="service:tests").consume(running.consumer)
        tasks = [asyncio.create_task(work) for work in (running.follow(), runner.run())]
        await running.works()
        yield running
        runner.stop()
        tasks[0].cancel()
        await asyncio.wait(tasks)
    await drop_database(postgres, name)


@pytest.mark.parametrize("name", FAULTS)
async def test_after_a_fault_of_postgresql_everything_goes_on(running: Process, name: str) -> None:
    async def call() -> None:
        """Give everything something to do."""
        until = now() + 1.2
        while now() < until:
            try:
                await running.client.execute(place(uuid4().hex), timeout=0.5)
            except CommandError:
                await asyncio.sleep(0.1)

    async with fault(running.database, name):
        await call()
    await running.works()


async def test_a_task_that_was_ended_makes_the_process_not_ready_and_begins_again(running: Process) -> None:
    task = next(task for task in asyncio.all_tasks() if task.get_name() == "projections: feed")
    task.cancel()
    await asyncio.wait([task])
    assert await running.readyz() == (503, {"projections: feed": "was cancelled"})
    await running.works()


async def test_work_that_fails_is_tried_again_and_reported(caplog: pytest.LogCaptureFixture) -> None:
    background, attempts, done = Background(), 0, asyncio.Event()

    async def work() -> None:
        nonlocal attempts
        attempts += 1
        if attempts < 3:
            raise ValueError(f"attempt {attempts}")
        await done.wait()

    task = background.start("trying", work)
    await eventually(_holds(lambda: attempts == 2))
    assert background.failing(0) == {"trying": "attempt 2"}
    await eventually(_holds(lambda: attempts == 3))
    assert background.ended == {}
    logged = [record.message for record in caplog.records if record.name == "intent.background"]
    assert logged == [f"trying fails and is tried again: attempt {attempt}" for attempt in (1, 2)]
    done.set()
    await eventually(_holds(lambda: task.over))
    assert background.names == frozenset()
