"""The delivery of recorded events to the sagas that listen to them."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from intent_contracts.intent.v1 import RecordedEvent, SagaInput, SagaStatus
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from intent.contracts import SagaContract
from intent.envelopes import current_event
from intent.model import BoundContext
from intent.records import LogEntry
from intent.saga_host.listing import never_started
from intent.temporal import names
from intent.temporal.attributes import fair_to, saga_attributes, saga_summary

__all__ = ["EventDelivery", "Target"]

_log: Final = logging.getLogger(__name__)
_REMEMBERED: Final = timedelta(hours=1)
"""For how long Temporal surely remembers a saga that has ended: no namespace has a shorter retention."""


class Target(NamedTuple):
    """A saga that an event is for.

    Attributes:
        saga: Its contract.
        correlation: Which one it is.
        event: The event.
        ask: Whether it is to ask first if it is over, as Temporal may have forgotten it.
    """

    saga: SagaContract
    correlation: str
    event: RecordedEvent
    ask: bool

    @property
    def starts(self) -> bool:
        """Whether the event starts the saga."""
        return self.event.type in self.saga.starts_on

    @property
    def workflow_id(self) -> str:
        """The id of the saga."""
        return names.saga_workflow_id(self.saga.type, self.event.tenant_id, self.correlation)


class EventDelivery:
    """The delivery of a context's events, which signals sagas and starts those that do not run yet.

    Signal-with-start makes "start, or signal the one that runs" one step of the server, so that a saga
    exists once per correlation, whichever event comes first. A saga that has ended, by itself or by an
    operator, is not started again: its event came too late to matter. The exception is a saga that failed
    because the event that starts it never came: a later event starts it after all. Temporal forgets sagas,
    so one that is started by an old event asks first whether it has ended before.

    When this process runs the sagas of the context itself, a saga that its own events start takes a
    shorter way: it is started eagerly and with its event, so that its first task comes with the reply
    instead of through a task queue. When the saga runs already, the event is signalled after all.

    Args:
        context: The context whose events these are.
        client: The Temporal client, shared with the worker of the context's sagas if there is one.
        sagas_start_here: Whether sagas of the context may start in this process at the moment.
    """

    def __init__(
        self,
        context: BoundContext,
        client: Client,
        sagas_start_here: Callable[[], bool] = lambda: False,
    ) -> None:
        self._context = context
        self._client = client
        self._sagas_start_here = sagas_start_here

    async def deliver(self, entries: Sequence[LogEntry], *, again: bool = False) -> int:
        """Deliver events, each to every saga that listens; return the number of deliveries.

        A saga gets its events in the order of the log. Repeating a delivery is harmless: a saga drops an
        event whose id it has seen.

        Args:
            entries: The events.
            again: Whether they may have been delivered before, so that what Temporal knows is not enough.

        Raises:
            NewerReleaseNeeded: A saga listens, but only a newer release can read an event.
            StoreError: An event cannot be read.
            RPCError: Temporal refuses, or is unavailable.
        """
        by_saga: dict[str, list[Target]] = defaultdict(list)
        for entry in entries:
            for target in self.targets(entry, again=again):
                by_saga[target.workflow_id].append(target)
        await asyncio.gather(*(self.deliver_to(targets) for targets in by_saga.values()))
        return sum(map(len, by_saga.values()))

    def listening(self, entry: LogEntry) -> Sequence[SagaContract]:
        """Return the sagas that listen to an event, in whichever context they live."""
        target = self._context.upcasters.target(entry.type, entry.schema_version)
        return self._context.registry.listeners(target.type if target else entry.type)

    def targets(self, entry: LogEntry, *, again: bool = False) -> Sequence[Target]:
        """Return the sagas that an event is for, with the event at its current schema version.

        Args:
            entry: The event.
            again: See `deliver`.

        Raises:
            NewerReleaseNeeded: A saga listens, but only a newer release can read the event.
            StoreError: The event cannot be read.
        """
        listeners = self.listening(entry)
        if not listeners:
            return []
        event = current_event(self._context, entry)
        _, message = self._context.upcasters.event(event.type, event.schema_version, event.data)
        ask = again or _is_old(event)
        found = [
            Target(saga, saga.correlation(message, entry.aggregate_id), event, ask) for saga in listeners
        ]
        for each in found:
            if each.starts and not each.correlation.strip():
                self._warn_of(each)
        # An event without a correlation concerns no saga, such as a cancellation of what never started.
        return [each for each in found if each.correlation.strip()]

    @staticmethod
    def _warn_of(uncorrelated: Target) -> None:
        saga, _, event, _ = uncorrelated
        _log.warning(
            "event %s (%s at position %d) starts no saga %s: its field %s is empty or blank",
            *(event.event_id, event.type, event.position, saga.type, saga.correlated_by),
        )

    async def deliver_to(self, targets: Sequence[Target]) -> None:
        """Deliver events to their sagas, one after the other.

        Raises:
            RPCError: Temporal refuses, or is unavailable.
        """
        for target in targets:
            if not (self._may_start_here(target) and await self._started(target)):
                await self._signal(target)

    def _may_start_here(self, target: Target) -> bool:
        return target.starts and target.saga.context == self._context.name and self._sagas_start_here()

    async def _started(self, target: Target) -> bool:
        """Start a saga with its event; return False when it runs already, or has ended."""
        try:
            await self._start(
                target,
                args=[SagaInput(events=[target.event])],
                request_eager_start=True,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            )
        except WorkflowAlreadyStartedError:
            return False
        return True

    async def _signal(self, target: Target) -> None:
        if await self._signalled(target, WorkflowIDReusePolicy.REJECT_DUPLICATE):
            return
        last = await self._client.get_workflow_handle(target.workflow_id).describe()
        again = WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY
        if never_started(last) and await self._signalled(target, again):
            return
        saga, correlation, event, _ = target
        _log.debug("event %s came after saga %s %s had ended", event.event_id, saga.type, correlation)

    async def _signalled(self, target: Target, reuse: WorkflowIDReusePolicy) -> bool:
        """Signal a saga, which starts if it never ran; return False when it has ended."""
        try:
            await self._start(
                target,
                start_signal=names.SAGA_SIGNAL,
                start_signal_args=[target.event],
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                id_reuse_policy=reuse,
            )
        except WorkflowAlreadyStartedError:
            return False
        return True

    async def _start(self, target: Target, **options: Any) -> None:
        saga, correlation, event, ask = target
        status = SagaStatus.SAGA_STATUS_RUNNING if target.starts else SagaStatus.SAGA_STATUS_UNSTARTED
        await self._client.start_workflow(
            saga.type,
            id=target.workflow_id,
            task_queue=names.saga_queue(saga.context),
            task_timeout=names.SAGA_TASK_TIMEOUT,
            search_attributes=saga_attributes(saga.context, event.tenant_id, event.correlation_id, status),
            static_summary=saga_summary(saga.type, event.tenant_id, correlation),
            memo=names.saga_memo(ask=ask),
            priority=fair_to(event.tenant_id),
            **options,
        )


def _is_old(event: RecordedEvent) -> bool:
    """Return whether Temporal may have forgotten a saga that had an event."""
    return datetime.now(UTC) - event.recorded_at.ToDatetime(UTC) > _REMEMBERED
