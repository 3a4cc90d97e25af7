"""The carrier of batches: starts their workflows and returns the outcomes to the callers."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Protocol
from uuid import uuid4

from intent_contracts.intent.v1 import BatchHandled, CommandBatch, CommandOutcome
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from intent.commands import outcomes
from intent.commands.batches import Batch, LocalOutcomes
from intent.commands.pending import Pending, awaited, wanting_projection
from intent.commands.stalls import BatchUnderWay, Stalls
from intent.errors import CommandError, StoreError, Unavailable
from intent.read_models.read_side import ReadSide
from intent.records import CommandKey
from intent.store.event_store import EventStore
from intent.temporal import names
from intent.temporal.attributes import batch_attributes, batch_priority, batch_summary
from intent.temporal.signing import PayloadRefused
from intent.waiting import now

__all__ = ["BatchObserver", "Carrier", "CarrierSettings"]

_log = logging.getLogger(__name__)

_LOOK_AGAIN: Final = 1.0


class BatchObserver(Protocol):
    """An observer of every batch, and of what is a defect of a context, for metrics and traces."""

    def batch_sent(self, context: str, commands: int, queued: int) -> None:
        """Observe that a batch was sent while `queued` commands stayed in the queue."""
        ...

    def batch_applied(self, context: str, commands: int, seconds: float) -> None:
        """Observe that the outcomes of a batch are known, so many seconds after it was sent."""
        ...

    def rejection_undeclared(self, command: str, reason: str) -> None:
        """Observe that a command was rejected for a reason that its contract does not declare."""
        ...

    def state_changed(self, command: str) -> None:
        """Observe that the handler of a command changed the state of its aggregate in place."""
        ...


@dataclass(frozen=True, slots=True)
class CarrierSettings:
    """Times of the command path, in seconds.

    Attributes:
        project_wait: How long an answer waits for the read models at most.
        unavailable_after: How long starting a batch is tried before its callers get `Unavailable`.
        follow_after: How long to wait for outcomes from a worker in this process before asking
            the workflow itself, which may be carried by another process.
        start_timeout: How long one attempt to start a workflow may take.
    """

    project_wait: float = 2.0
    unavailable_after: float = 10.0
    follow_after: float = 1.0
    start_timeout: float = 5.0


class Carrier:
    """The carrier of the batches of one target context.

    Args:
        context: The context that handles the commands.
        client: The Temporal client, shared with the worker for eager start.
        store: The context's event store, or None when it is another process's.
        projections: The context's read models, or None when they are another process's.
        local_outcomes: Where a worker in this process leaves outcomes.
        settings: Its times.
        observer: Sees every batch.

    Attributes:
        stalls: The batches whose outcomes are not known yet.
    """

    def __init__(
        self,
        context: str,
        client: Client,
        *,
        store: EventStore | None,
        projections: ReadSide | None,
        local_outcomes: LocalOutcomes,
        settings: CarrierSettings,
        observer: BatchObserver | None = None,
    ) -> None:
        self._context = context
        self._client = client
        self._store = store
        self._projections = projections
        self._local_outcomes = local_outcomes
        self._settings = settings
        self._observer = observer
        self._answering: set[asyncio.Task[None]] = set()
        self.stalls = Stalls()

    async def carry(self, pendings: list[Pending], queued: int = 0, *, hurried: bool = False) -> bool:
        """Carry a batch until its outcomes are known; answers that wait longer are sent in the background.

        Args:
            pendings: The commands.
            queued: How many commands stay behind.
            hurried: Whether to return once a workflow carries the batch when no caller waits for outcomes;
                otherwise that is done after `unavailable_after`.

        Returns:
            Whether the outcomes are known.
        """
        started = now()
        batch = Batch(f"{names.batch_workflow_prefix(self._context)}{uuid4().hex}", pendings)
        if self._observer is not None:
            self._observer.batch_sent(self._context, len(pendings), queued)
        self._local_outcomes.expect(batch)
        self.stalls.begin(BatchUnderWay(self._context, batch.id, len(pendings), started))
        try:
            settled = await self._outcomes(batch, 0 if hurried else self._settings.unavailable_after)
            if settled is None and not hurried:
                self.stalls.follow(batch.id, self._result(self._handle(batch)))
        except CommandError as error:
            _refuse(pendings, error)
            return False
        except Exception:
            _log.exception("batch %s could not be carried", batch.id)
            _refuse(pendings, Unavailable("BATCH_FAILED", "ask again with the same command id"))
            return False
        finally:
            self._local_outcomes.forget(batch)
            self.stalls.end(batch.id)
        if settled is None:
            return False
        if self._observer is not None:
            seconds = now() - started
            self._observer.batch_applied(self._context, len(pendings), seconds)
        self._settle(pendings, settled)
        return True

    async def drained(self) -> None:
        """Wait until every answer is sent."""
        self.stalls.close()
        while self._answering:
            await asyncio.wait(set(self._answering))

    async def _outcomes(self, batch: Batch, patience: float) -> Sequence[CommandOutcome] | None:
        """Return the outcomes; None when after so many seconds no caller waits for them any more."""
        handle = await self._start(batch)
        for pending in batch.pendings:
            pending.accept(batch.id)
        if not patience and not awaited(batch.pendings):
            return None
        until = now() + patience
        if self._store is not None:
            done, _ = await asyncio.wait([batch.published], timeout=self._settings.follow_after)
            if done:
                return batch.published.result()
        return await self._follow(batch, handle, until)

    async def _start(self, batch: Batch) -> WorkflowHandle[object, BatchHandled]:
        """Start the workflow, retrying with the same id while Temporal is unavailable.

        Raises:
            Unavailable: Temporal stayed unavailable.
        """
        message = CommandBatch(
            context=self._context,
            commands=[pending.envelope for pending in batch.pendings],
            traceparent=batch.pendings[0].envelope.traceparent,
            reply_outcomes=self._store is None,
        )
        until = now() + self._settings.unavailable_after
        while True:
            try:
                return await self._start_once(batch.id, message)
            except WorkflowAlreadyStartedError:
                return self._handle(batch)
            except RPCError as error:
                _check_startable(error)
                if now() > until:
                    raise _temporal_unavailable(error) from error
                _log.warning("cannot start a batch, trying again: %s", error.message)
                await asyncio.sleep(0.2)

    def _handle(self, batch: Batch) -> WorkflowHandle[object, BatchHandled]:
        return self._client.get_workflow_handle(batch.id, result_type=BatchHandled)

    async def _start_once(self, batch_id: str, message: CommandBatch) -> WorkflowHandle[object, BatchHandled]:
        return await self._client.start_workflow(
            names.PROCESS_COMMANDS,
            message,
            id=batch_id,
            task_queue=names.command_queue(self._context),
            result_type=BatchHandled,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            task_timeout=names.WORKFLOW_TASK_TIMEOUT,
            request_eager_start=self._store is not None,
            search_attributes=batch_attributes(self._context, message.commands),
            static_summary=batch_summary(message.commands),
            priority=batch_priority(message.commands),
            rpc_timeout=timedelta(seconds=self._settings.start_timeout),
        )

    async def _follow(
        self,
        batch: Batch,
        handle: WorkflowHandle[object, BatchHandled],
        until: float,
        *,
        started: bool = True,
    ) -> Sequence[CommandOutcome] | None:
        """Wait for the workflow's result, unless the outcomes are published first or nobody waits."""
        result = asyncio.ensure_future(self._result(handle, started))
        try:
            first: list[asyncio.Future[Any]] = [result, batch.published]
            while now() < until or awaited(batch.pendings):
                await asyncio.wait(first, timeout=_LOOK_AGAIN, return_when=asyncio.FIRST_COMPLETED)
                if batch.published.done():
                    return batch.published.result()
                if result.done():
                    return await self._collect(batch, result.result())
            return None
        finally:
            result.cancel()

    def _settle(self, pendings: Sequence[Pending], settled: Sequence[CommandOutcome]) -> None:
        """Answer the callers, and wait in the background for what was set apart."""
        here: list[tuple[Pending, CommandOutcome]] = []
        apart: dict[str, list[Pending]] = defaultdict(list)
        for pending, outcome in zip(pendings, settled, strict=True):
            if outcome.continued_in:
                pending.handle = outcome.continued_in
                apart[outcome.continued_in].append(pending)
            else:
                here.append((pending, outcome))
        self._answer(here)
        for workflow_id, waiting in apart.items():
            if awaited(waiting):
                self._in_background(self._continue(Batch(workflow_id, waiting)))

    async def _continue(self, batch: Batch) -> None:
        """Answer the callers of commands that a workflow of their own handles, for as long as they wait."""
        self._local_outcomes.expect(batch)
        handle = self._client.get_workflow_handle(batch.id, result_type=BatchHandled)
        try:
            async with asyncio.timeout(self._settings.unavailable_after):
                # It is started when the step that set it apart is done.
                await asyncio.wait([batch.published], timeout=self._settings.follow_after)
                settled = await self._follow(batch, handle, 0, started=False)
        except TimeoutError:
            _refuse(batch.pendings, outcomes.still_waiting(accepted=True))
        except CommandError as error:
            _refuse(batch.pendings, error)
        else:
            if settled is not None:
                self._settle(batch.pendings, settled)
        finally:
            self._local_outcomes.forget(batch)

    async def _result(
        self, handle: WorkflowHandle[object, BatchHandled], started: bool = True
    ) -> BatchHandled:
        """Return the workflow's result; one that may not have started yet is waited for."""
        while True:
            try:
                return await handle.result()
            except WorkflowFailureError as error:
                raise outcomes.ended(handle.id, error.cause) from error
            except PayloadRefused as error:
                raise outcomes.ended(handle.id, error) from error
            except RPCError as error:
                if error.status == RPCStatusCode.NOT_FOUND and started:
                    raise _temporal_unavailable(error) from error
                await asyncio.sleep(0.5)

    async def _collect(self, batch: Batch, handled: BatchHandled) -> Sequence[CommandOutcome]:
        """Collect the outcomes from the workflow's result and, for those it keeps, from the store."""
        returned = {(outcome.tenant_id, outcome.command_id): outcome for outcome in handled.outcomes}
        collected = []
        for pending in batch.pendings:
            outcome = returned.get((pending.envelope.tenant_id, pending.envelope.command_id))
            collected.append(outcome if outcome is not None else await self._stored(pending.key, pending))
        return collected

    async def _stored(self, key: CommandKey, pending: Pending) -> CommandOutcome:
        store = self._store
        try:
            stored = await store.command(key) if store is not None else None
        except StoreError as error:
            return pending.fail(
                Unavailable("STORE_UNAVAILABLE", f"{error}; ask again with the same command id")
            )
        if store is None or stored is None:
            return pending.fail(
                Unavailable("OUTCOME_UNKNOWN", "the outcome is not known; ask again with the same command id")
            )
        return outcomes.restored(stored, store.epochs.current)

    def _answer(self, settled: Iterable[tuple[Pending, CommandOutcome]]) -> None:
        """Answer the callers that do not wait for the read models; answer the others once these are there."""
        later: list[tuple[Pending, CommandOutcome]] = []
        for pending, outcome in settled:
            if self._projections is None or not outcome.HasField("result"):
                pending.answer(outcome)
            else:
                pending.answer(outcome, applied_only=True)
                later.append((pending, outcome))
        if later and wanting_projection([pending for pending, _ in later]):
            self._in_background(self._answer_projected(later))

    def _in_background(self, answering: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(answering)
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _answer_projected(self, later: Sequence[tuple[Pending, CommandOutcome]]) -> None:
        assert self._projections is not None
        position = max(outcome.result.position for _, outcome in later)
        try:
            behind = await self._projections.reach(position, self._settings.project_wait)
        except StoreError as error:
            _log.warning("answering without the read models: %s", error)
            behind = ["?"]
        for pending, outcome in later:
            outcome.result.projected = not behind
            pending.answer(outcome, applied_only=False)


def _refuse(pendings: Sequence[Pending], error: CommandError) -> None:
    for pending in pendings:
        pending.refuse(error)


def _check_startable(error: RPCError) -> None:
    """Raise if another attempt to start cannot help."""
    if error.status in _TRANSIENT:
        return
    raise Unavailable(
        "TEMPORAL_REFUSED", f"Temporal refused the batch: {error.message}", retry_after_ms=5000
    ) from error


_TRANSIENT = {
    RPCStatusCode.UNAVAILABLE,
    RPCStatusCode.DEADLINE_EXCEEDED,
    RPCStatusCode.CANCELLED,
    RPCStatusCode.ABORTED,
    RPCStatusCode.INTERNAL,
    RPCStatusCode.UNKNOWN,
    RPCStatusCode.RESOURCE_EXHAUSTED,
}


def _temporal_unavailable(error: RPCError) -> Unavailable:
    return Unavailable(
        "TEMPORAL_UNAVAILABLE",
        f"Temporal is unavailable ({error.message}); nothing is lost, ask again with the same command id",
        retry_after_ms=1000,
    )
