"""What waits in Temporal, asked of a real server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio
from intent.dev.services import TemporalServer
from intent.temporal.backlog import Backlog, BacklogWatch
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.client import Client
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes
from temporalio.service import RPCError

_CONTEXT = SearchAttributeKey.for_keyword("IntentContext")
_STATUS = SearchAttributeKey.for_keyword("IntentSagaStatus")
_LONGEST = 60.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TemporalServer]:
    folder: Path = tmp_path_factory.mktemp("temporal")
    with TemporalServer(log=folder / "temporal.log") as running:
        yield running


@pytest_asyncio.fixture
async def client(server: TemporalServer) -> AsyncIterator[Client]:
    connected = await Client.connect(server.address)
    for key in (_CONTEXT, _STATUS):
        kinds = {key.name: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD}
        # The server may have been started with them.
        with contextlib.suppress(RPCError):
            await connected.operator_service.add_search_attributes(
                AddSearchAttributesRequest(namespace="default", search_attributes=kinds)
            )
    yield connected


async def _until(ask: Callable[[], Awaitable[Backlog]], wanted: Callable[[Backlog], bool]) -> Backlog:
    """Return the first answer that is as wanted."""
    async with asyncio.timeout(_LONGEST):
        while not wanted(backlog := await ask()):  # noqa: ASYNC110 - the server announces no changes
            await asyncio.sleep(0.1)
        return backlog


async def test_tasks_that_nobody_takes_are_counted_with_their_age(client: Client) -> None:
    queue = f"lonely-{uuid4()}"
    watch = BacklogWatch(client, "lonely", [queue], sagas=False)
    assert (await watch.ask()).queues[queue].tasks == 0
    for _ in range(3):
        await client.start_workflow("Nothing", id=str(uuid4()), task_queue=queue)
    backlog = await _until(watch.ask, lambda now: now.queues[queue].tasks == 3 and now.queues[queue].age > 0)
    assert 0 < backlog.queues[queue].age < _LONGEST
    assert backlog.sagas == {}


async def test_sagas_are_counted_by_their_status(client: Client) -> None:
    context = f"c{uuid4().hex[:8]}"
    for status in ("stuck", "stuck", "waiting"):
        attributes = [SearchAttributePair(_CONTEXT, context), SearchAttributePair(_STATUS, status)]
        await client.start_workflow(
            "Saga",
            id=str(uuid4()),
            task_queue="nobody",
            search_attributes=TypedSearchAttributes(attributes),
        )
    watch = BacklogWatch(client, context, [], sagas=True)
    backlog = await _until(watch.ask, lambda now: now.sagas["stuck"] == 2 and now.sagas["waiting"] == 1)
    others = dict.fromkeys(("running", "delayed", "failing", "compensating"), 0)
    assert backlog.sagas == {**others, "waiting": 1, "stuck": 2}


async def test_nothing_is_reported_while_nobody_knows(client: Client) -> None:
    watch = BacklogWatch(client, "orders", ["orders-commands"], sagas=False, every=0.05)
    await watch.start()

    async def latest() -> Backlog:
        return watch.latest

    await _until(latest, lambda now: bool(now.queues))
    watch._queues = ("",)
    await _until(latest, lambda now: not now.queues)
    await watch.stop()
