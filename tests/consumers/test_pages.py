"""Lists and pages that are bounded, whatever is in them and however slowly somebody reads."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import psutil
import pytest
from intent.errors import InvalidCommand, Overloaded
from intent.service.servicers import consumers as servicer
from intent_contracts.intent.v1 import (
    ListConsumersRequest,
    ListConsumersResponse,
    ListParkedRequest,
    ListParkedResponse,
)

from ..service.wire import call
from ..store.builders import command, event, key, to
from . import slow_readers
from .cluster import QUICK, Cluster, Process, until

LARGE = 240_000
MIB = 1024 * 1024
READERS = 20


async def large(cluster: Cluster, count: int, streams: int = 1) -> None:
    """Record large events, spread over some streams."""
    for stream in range(streams):
        events = [event(bytes(LARGE)) for _ in range(count // streams)]
        await cluster.store.append([to(key(f"large-{stream}"), 0, command(events))])


async def test_parked_events_that_are_large_are_listed_in_pages(cluster: Cluster, process: Process) -> None:
    await large(cluster, 20)
    worker = await cluster.joined(process, attempts=1)
    await worker.fail(await worker.take(), "no")
    client = process.client()

    async def parked() -> bool:
        return len((await client.consumers.parked()).parked) == 20

    await until(parked)
    request, positions = ListParkedRequest(), []
    while True:
        answer = await call(process.served, "/intent.v1.Consumers/ListParked", request.SerializeToString())
        assert len(answer.data) < 3.5 * MIB
        page = ListParkedResponse.FromString(answer.data)
        positions += [row.event.position for row in page.parked]
        assert page.more == bool(page.next_page_token)
        if not page.more:
            break
        request.page_token = page.next_page_token
    assert positions == list(range(1, 21))

    part = await client.consumers.parked(limit=15)
    rest = await client.consumers.parked(page_token=part.next_page_token)
    assert [row.event.position for row in (*part.parked, *rest.parked)] == positions
    assert (part.more, rest.more) == (True, False)
    with pytest.raises(InvalidCommand, match="page token"):
        await client.consumers.parked(page_token=b"[1]")


async def test_consumers_are_listed_in_pages(
    cluster: Cluster, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servicer, "_MAX_CONSUMERS", 2)
    names = [f"shipping.{letter}" for letter in "abcde"]
    for name in names:
        await cluster.joined(process, name)
    data = ListConsumersRequest().SerializeToString()
    answer = await call(process.served, "/intent.v1.Consumers/ListConsumers", data)
    first = ListConsumersResponse.FromString(answer.data)
    assert [info.consumer for info in first.consumers] == names[:2]
    assert first.next_page_token
    whole = await process.client().consumers.list()
    assert [info.consumer for info in whole.consumers] == names


async def test_one_consumer_too_many_is_refused(cluster: Cluster) -> None:
    process = await cluster.process(replace(QUICK, most_per_tenant=2))
    for name in ("shipping.a", "shipping.b", "shipping.a"):
        await cluster.joined(process, name)
    refused = await cluster.joined(process, "shipping.c", wait=False)
    with pytest.raises(Overloaded, match="tenant acme may have 2 consumers") as caught:
        raise await refused.failure()
    assert (caught.value.reason, caught.value.metadata["limit"]) == ("TOO_MANY_CONSUMERS", "2")
    assert caught.value.retry_after_ms > 0
    await cluster.joined(process, "shipping.c", tenant="globex")


async def test_types_that_no_contract_defines_are_accepted_and_shown(
    cluster: Cluster, process: Process, caplog: pytest.LogCaptureFixture
) -> None:
    types = ["orders.v1.OrderConfirmed", "no.such.Event", "inventory.v1.StockReserved"]
    with caplog.at_level(logging.WARNING, "intent.service"):
        for name in ("shipping.a", "shipping.b"):
            await cluster.joined(process, name, types=types)
    (a, b) = (await process.client().consumers.list()).consumers
    assert set(a.unknown_types) == set(b.unknown_types) == {"no.such.Event", "inventory.v1.StockReserved"}
    (warning,) = [record.getMessage() for record in caplog.records if "no.such.Event" in record.getMessage()]
    assert "consumer shipping.a of" in warning


@asynccontextmanager
async def unread(process: Process, kind: str, count: int) -> AsyncIterator[None]:
    """Let another program open streams, take the first event of each and then read no more."""
    program = await asyncio.create_subprocess_exec(
        sys.executable, slow_readers.__file__, process.target, kind, str(count), stdin=PIPE, stdout=PIPE
    )
    assert program.stdin is not None
    assert program.stdout is not None
    try:
        assert await program.stdout.readline() == b"reading no more\n"
        yield
    finally:
        program.stdin.close()
        await program.wait()


@pytest.mark.parametrize("kind", ["subscriptions", "consumers"])
async def test_readers_that_do_not_read_hold_little(
    cluster: Cluster, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    # Consumers that are a page behind read the log each for themselves.
    process = await cluster.process(replace(QUICK, page=50))
    await large(cluster, 60, streams=60)
    async with unread(process, kind, 1):
        pass
    memory = psutil.Process().memory_info
    gc.collect()
    before = memory().rss
    async with unread(process, kind, READERS):
        # A page of 50 events for each of them would be 240 MB.
        assert memory().rss - before < READERS * 3 * MIB
    while process.served.server.subscriptions or process.host.instances:
        await process.client().describe()
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []
