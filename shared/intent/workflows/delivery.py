"""Brings recorded events to the sagas that listen to them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from google.protobuf.timestamp_pb2 import Timestamp
from intent_contracts.intent.v1 import RecordedEvent
from temporalio.client import Client
from temporalio.common import (
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError

from intent.context import BoundContext
from intent.contracts import SagaContract
from intent.records import LogEntry
from intent.workflows import names
from intent.workflows.attributes import CONTEXT, CORRELATION_IDS, TENANTS

__all__ = ["EventDelivery", "recorded_event"]

_log = logging.getLogger(__name__)


def recorded_event(context: str, entry: LogEntry) -> RecordedEvent:
    """Returns a log entry in its envelope."""
    recorded_at = Timestamp()
    recorded_at.FromDatetime(entry.recorded_at)
    return RecordedEvent(
        position=entry.position,
        context=context,
        tenant_id=entry.tenant,
        aggregate_type=entry.aggregate_type,
        aggregate_id=entry.aggregate_id,
        version=entry.version,
        event_id=str(entry.event_id),
        type=entry.type,
        schema_version=entry.schema_version,
        data=entry.data,
        command_id=str(entry.command_id),
        correlation_id=entry.correlation_id,
        causation_id=entry.causation_id,
        actor=entry.actor,
        recorded_at=recorded_at,
        traceparent=entry.traceparent,
    )


class EventDelivery:
    """Signals events to sagas, starting those that are not there yet.

    Signal-with-start makes "start, or tell the one that runs" one step of the server, so that a
    saga exists once per correlation whichever event comes first. A saga that is over is not
    started again: its event came late and has been dealt with.

    Args:
        context: The context whose events these are.
        client: The Temporal client.
    """

    def __init__(self, context: BoundContext, client: Client) -> None:
        self._context = context
        self._client = client

    async def deliver(self, entries: Sequence[LogEntry]) -> int:
        """Delivers events, each to every saga that listens; returns the number of deliveries.

        Delivering again is harmless: a saga drops an event whose id it has seen.
        """
        targets = [
            (saga, entry) for entry in entries for saga in self._context.registry.listeners(entry.type)
        ]
        await asyncio.gather(*(self._signal(saga, entry) for saga, entry in targets))
        return len(targets)

    async def _signal(self, saga: SagaContract, entry: LogEntry) -> None:
        correlation = self._correlation(saga, entry)
        try:
            await self._client.start_workflow(
                saga.type,
                id=names.saga_workflow_id(saga.type, entry.tenant, correlation),
                task_queue=names.saga_queue(saga.context),
                start_signal=names.SAGA_SIGNAL,
                start_signal_args=[recorded_event(self._context.name, entry)],
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                search_attributes=TypedSearchAttributes(
                    [
                        SearchAttributePair(CONTEXT, saga.context),
                        SearchAttributePair(TENANTS, [entry.tenant]),
                        SearchAttributePair(CORRELATION_IDS, [entry.correlation_id]),
                    ]
                ),
                static_summary=f"{saga.type.rpartition('.')[2]} for {correlation} ({entry.tenant})",
            )
        except WorkflowAlreadyStartedError:
            _log.info("event %s came after saga %s %s was over", entry.event_id, saga.type, correlation)

    def _correlation(self, saga: SagaContract, entry: LogEntry) -> str:
        if not saga.correlated_by:
            return entry.aggregate_id
        _, event = self._context.upcasters.event(entry.type, entry.schema_version, entry.data)
        if saga.correlated_by not in event.DESCRIPTOR.fields_by_name:
            return entry.aggregate_id
        return str(getattr(event, saga.correlated_by))
