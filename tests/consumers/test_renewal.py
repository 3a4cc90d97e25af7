"""A consumer whose tokens expire goes on with others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest
import pytest_asyncio
from intent.client import ConsumerRunner, IntentClient
from intent.client.tokens import source
from intent.errors import Unauthenticated
from intent.model import Consumer, EventMetadata, consumes
from intent.service import expiry
from intent_contracts.orders.v1 import OrderConfirmed

from ..client.test_renewal import LIFE, Source, believing
from ..service.test_expiry import Clock
from ..service.test_subscriptions import until
from ..support.issuer import Issuer, running_issuer
from .cluster import Cluster, Process


class Noting(Consumer):
    """Notes what it handles; it is told how long that takes."""

    name = "user.ann.noting"
    concurrency = 4

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.more = asyncio.Condition()
        self.gate = asyncio.Event()
        self.gate.set()
        self.begun = 0

    @consumes
    async def confirmed(self, event: OrderConfirmed, meta: EventMetadata) -> None:
        self.begun += 1
        await self.gate.wait()
        async with self.more:
            self.seen.append(meta.position)
            self.more.notify_all()

    async def has(self, count: int) -> None:
        async with asyncio.timeout(90), self.more:
            await self.more.wait_for(lambda: len(self.seen) >= count)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    monkeypatch.setattr(expiry, "LOOK", 0.01)
    monkeypatch.setattr(source, "LOOK", 0.01)
    return Clock()


@pytest_asyncio.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with running_issuer() as running:
        yield running


def has_acknowledged(process: Process, count: int) -> bool:
    return process.host.counters()[0].acknowledged >= count


@asynccontextmanager
async def consuming(target: str, tokens: object, consumer: Consumer) -> AsyncIterator[ConsumerRunner]:
    async with IntentClient.connect(target, token=tokens) as client:  # type: ignore[arg-type]
        runner = client.consume(consumer)
        running = asyncio.create_task(runner.run())
        try:
            yield runner
        finally:
            runner.stop()
            await running


@pytest.mark.parametrize("in_time", [True, False], ids=["before", "after"])
async def test_every_event_is_handled_once(
    cluster: Cluster, issuer: Issuer, clock: Clock, *, in_time: bool
) -> None:
    """Renewed before they expire, tokens cost no delivery; renewed afterwards, none that was answered."""
    process = await cluster.process(identities=believing(issuer, clock), clock=clock)
    tokens = Source(issuer, clock, knows_the_time=in_time)
    consumer = Noting()
    async with consuming(process.target, tokens, consumer):
        for part in range(1, 5):
            await cluster.record_many(5)
            await consumer.has(5 * part)
            await until(partial(has_acknowledged, process, 5 * part))
            fetches = tokens.fetches
            clock.ahead += LIFE - 30 if in_time else LIFE + 1
            await until(partial(tokens.fetched_more_than, fetches))
    assert sorted(consumer.seen) == list(range(1, 21))


async def test_handlers_that_run_end_before_the_call_is_made_anew(
    cluster: Cluster, issuer: Issuer, clock: Clock
) -> None:
    process = await cluster.process(identities=believing(issuer, clock), clock=clock)
    tokens = Source(issuer, clock, knows_the_time=True)
    consumer = Noting()
    consumer.gate.clear()
    async with consuming(process.target, tokens, consumer):
        await cluster.record_many(3)
        await until(lambda: consumer.begun == 3)
        clock.ahead += LIFE - 30
        await until(lambda: tokens.fetches == 2)
        consumer.gate.set()
        await cluster.record_many(3)
        await consumer.has(6)
    assert sorted(consumer.seen) == list(range(1, 7))
    assert consumer.begun == 6


async def test_a_runner_ends_when_no_token_counts(cluster: Cluster, issuer: Issuer, clock: Clock) -> None:
    process = await cluster.process(identities=believing(issuer, clock), clock=clock)
    stale = issuer.token(exp=clock() - 1, tenants="acme", roles="consumer")
    async with IntentClient.connect(process.target, token=stale) as client:
        with pytest.raises(Unauthenticated):
            await client.consume(Noting()).run()
