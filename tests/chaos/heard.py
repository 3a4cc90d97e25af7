"""Whether sagas heard what the logs say that they should have heard."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from intent.contracts import Registry
from intent.temporal import data_converter, names
from intent_contracts.intent.v1 import RecordedEvent, SagaInput
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client

from .logs import Log, fetched

__all__ = ["followers_behind", "misheard"]

_AT_ONCE: Final = 8


class _Stream(NamedTuple):
    tenant: str
    type: str
    id: str


Heard = Mapping[_Stream, Sequence[int]]
"""Versions of events, by their aggregates."""


async def misheard(temporal: str, logs: Iterable[Log], sagas: Iterable[str]) -> list[str]:
    """Compare what sagas heard with the logs; return in sentences what differs.

    A saga has heard the first of each aggregate's events that are for it, in their order and each of
    them: those that it has not heard came after its end.

    Args:
        temporal: Temporal's address.
        logs: The logs of all contexts.
        sagas: Ids of sagas that are over.
    """
    client = await Client.connect(temporal, data_converter=data_converter)
    recorded, turn = _recorded(logs), asyncio.Semaphore(_AT_ONCE)

    async def compared(saga: str) -> list[str]:
        async with turn:
            heard = await _heard(client, saga)
        due = recorded.get(saga, {})
        return [
            f"saga {saga} heard {list(versions)} of {'/'.join(stream)}, {due.get(stream)} are for it"
            for stream, versions in heard.items()
            if list(versions) != list(due.get(stream, []))[: len(versions)]
        ]

    return [line for lines in await asyncio.gather(*map(compared, sagas)) for line in lines]


async def followers_behind(dsn: str, contexts: Iterable[str]) -> list[str]:
    """Return the followers for sagas that are not at the end of their log, or have something set aside."""
    behind = []
    for context in contexts:
        rows = await fetched(
            dsn,
            f"select (select position from {context}.head) - min(checkpoint) as lag, (select count(*) from"
            f" {context}.consumer_streams where consumer = 'intent.sagas') as aside"
            f" from {context}.consumer_partitions where consumer = 'intent.sagas'",
        )
        if rows[0]["lag"] or rows[0]["aside"]:
            behind.append(f"{context}: {rows[0]['lag']} positions, {rows[0]['aside']} streams set aside")
    return behind


def _recorded(logs: Iterable[Log]) -> Mapping[str, Heard]:
    """Return the events that are for each saga, by its id."""
    registry = Registry.load()
    recorded: dict[str, dict[_Stream, list[int]]] = defaultdict(lambda: defaultdict(list))
    for log in logs:
        for row in log:
            for saga in registry.listeners(row["type"]):
                event = registry.event(row["type"]).message.FromString(row["data"])
                correlation = saga.correlation(event, row["aggregate_id"])
                id_ = names.saga_workflow_id(saga.type, row["tenant"], correlation)
                stream = _Stream(row["tenant"], row["aggregate_type"], row["aggregate_id"])
                recorded[id_][stream].append(row["version"])
    return recorded


async def _heard(client: Client, saga: str) -> Heard:
    """Return what a saga was started with and signalled, each event once, in all its runs."""
    seen: dict[str, None] = {}
    heard: dict[_Stream, list[int]] = defaultdict(list)
    runs = [run.run_id async for run in client.list_workflows(f"WorkflowId = '{saga}'")]
    for run in reversed(runs):
        history = await client.get_workflow_handle(saga, run_id=run).fetch_history()
        for event in _events(history.events):
            if event.event_id not in seen:
                seen[event.event_id] = None
                heard[_Stream(event.tenant_id, event.aggregate_type, event.aggregate_id)].append(
                    event.version
                )
    return heard


def _events(history: Iterable[HistoryEvent]) -> Iterator[RecordedEvent]:
    converter = data_converter.payload_converter
    for item in history:
        if item.HasField("workflow_execution_started_event_attributes"):
            for payload in item.workflow_execution_started_event_attributes.input.payloads:
                yield from converter.from_payload(payload, SagaInput).events
        elif item.HasField("workflow_execution_signaled_event_attributes"):
            signal = item.workflow_execution_signaled_event_attributes
            if signal.signal_name == names.SAGA_SIGNAL:
                yield converter.from_payload(signal.input.payloads[0], RecordedEvent)
