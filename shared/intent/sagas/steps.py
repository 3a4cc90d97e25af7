"""The steps of a saga: each has a path and is taken once, and its outcome is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from google.protobuf.message import Message
from intent_contracts.intent.v1 import (
    ChildStart,
    CommandResult,
    Failure,
    JournalEntry,
    SagaReport,
    SagaStep,
    SagaStepKind,
)

from intent.errors import (
    ChildFailed,
    Interrupted,
    NeighbourFailed,
    SagaCancelled,
    SagaFailure,
    StepRejected,
    StepTimedOut,
)
from intent.sagas.compensation import Compensations, Registered, Undo
from intent.sagas.host import SagaHost
from intent.sagas.inbox import Inbox
from intent.sagas.journal import DONE, INTERRUPTED, REJECTED, TIMED_OUT, Journal
from intent.sagas.outbox import Outbox, SagaIdentity
from intent.sagas.port import Port
from intent.sagas.report import COMPLETED, WAITING, Report
from intent.sagas.scope import Scope, entered, interruptible, interrupts, scope

__all__ = ["Steps"]

_COMMAND = SagaStepKind.SAGA_STEP_KIND_COMMAND
_EVENT = SagaStepKind.SAGA_STEP_KIND_EVENT
_SLEEP = SagaStepKind.SAGA_STEP_KIND_SLEEP
_CALL = SagaStepKind.SAGA_STEP_KIND_CALL
_CHILD = SagaStepKind.SAGA_STEP_KIND_CHILD


@dataclass(slots=True, eq=False)
class _Step:
    """A step while it is taken.

    Attributes:
        info: Its line in the report.
        entry: Its entry in the journal.
        fresh: False when an earlier run settled it.
        scope: Its place in the code.
        interrupts: The events that end it early.
    """

    info: SagaStep
    entry: JournalEntry
    fresh: bool
    scope: Scope
    interrupts: frozenset[str]


class Steps:
    """Takes the steps of one saga.

    Args:
        identity: Which saga.
        host: Runs the durable calls.
        inbox: The events that reached it.
        journal: The outcomes so far.
        report: Its report.
        outbox: Sends its commands.

    Attributes:
        compensations: What undoes the steps when it fails.
        cancelled: Why an operator cancelled it; empty: no operator did.
        cancelled_after: How many events had come before.
        busy: How many steps are under way that a new run could not take over.
    """

    def __init__(
        self,
        identity: SagaIdentity,
        host: SagaHost,
        inbox: Inbox,
        journal: Journal,
        report: Report,
        outbox: Outbox,
    ) -> None:
        self.identity = identity
        self.host = host
        self.compensations = Compensations()
        self.cancelled = ""
        self.cancelled_after = -1
        self.busy = 0
        self._inbox = inbox
        self._journal = journal
        self._report = report
        self.outbox = outbox
        self._classes: dict[str, type[Message]] = {}

    async def execute(self, command: Message, undo: Undo) -> CommandResult:
        """Send a command; see `Saga.execute`."""
        self.outbox.check(command)
        step = await self._begin(_COMMAND, command.DESCRIPTOR.full_name)
        added = self._register(step.info.path, undo)
        if step.fresh and not self._cut(step, known=True):
            await self._decide(step, command)
        if not step.entry.outcome.HasField("result"):
            self.compensations.drop(added)
        self._settle(step)
        return step.entry.outcome.result

    async def _decide(self, step: _Step, command: Message) -> None:
        envelope = self.outbox.envelope(step.info.path, command)
        step.info.command_id = envelope.command_id
        outcome = await self._uninterrupted(self.outbox.decided(envelope))
        if outcome.HasField("failure"):
            step.entry.outcome.failure.CopyFrom(outcome.failure)
            step.entry.status = REJECTED
            return
        step.entry.outcome.result.CopyFrom(outcome.result)
        step.entry.outcome.result.ClearField("events")
        step.entry.status = DONE

    async def wait_for(self, types: Sequence[type[Message]], timeout: timedelta | None) -> Message:
        """Wait for an event; see `Saga.wait_for`."""
        names = self._known(types)
        step = await self._begin(_EVENT, ", ".join(cls.DESCRIPTOR.full_name for cls in types))
        await self._await(step, names, timeout)
        self._settle(step)
        return self._opened(step.entry.event)

    async def sleep(self, duration: timedelta) -> None:
        """Wait for a time; see `Saga.sleep`."""
        step = await self._begin(_SLEEP, str(duration))
        await self._await(step, frozenset(), duration)
        if step.entry.status == TIMED_OUT:
            step.entry.status = DONE
        self._settle(step)

    async def _await(self, step: _Step, types: frozenset[str], timeout: timedelta | None) -> None:
        """Wait until there is an event, something that ends the step early, or no time left."""
        if not step.fresh:
            return

        def ready() -> bool:
            return self._first(step, types) > 0 or self._cutting(step) is not None

        latest = None if timeout is None else self.host.now() + timeout
        until = self._journal.deadline(step.info.path, latest)
        if not ready():
            self.host.show(WAITING, self._report.current)
        while await self.host.wait(ready, until) or ready():
            number = self._first(step, types)
            if number:
                self._take(step, number)
            if number or self._cut(step):
                return
        step.entry.status = TIMED_OUT
        # An event that comes from now on must find the decision made.
        await self.host.checkpoint()

    async def call(self, port: Port[Any, Any], request: Message) -> Any:
        """Call a port; see `Saga.call`."""
        step = await self._begin(_CALL, port.name)
        if step.fresh and not self._cut(step):
            await self._ask(step.entry, port, request)
        self._settle(step)
        return port.answer.FromString(step.entry.answer)

    async def _ask(self, entry: JournalEntry, port: Port[Any, Any], request: Message) -> None:
        try:
            answer = await self._uninterrupted(self.host.call(port, request))
        except StepRejected as error:
            entry.outcome.failure.CopyFrom(Failure(reason=error.reason, message=error.message))
            entry.status = REJECTED
        else:
            entry.answer = answer.SerializeToString(deterministic=True)
            entry.status = DONE

    async def child(self, type_: str, message: Message, undo: Undo) -> None:
        """Run a child saga; see `Saga.child`."""
        step = await self._begin(_CHILD, type_)
        added = self._register(step.info.path, undo)
        if step.fresh and not self._cut(step):
            start = ChildStart(
                parent_id=self.identity.workflow_id,
                cause=self.outbox.cause,
                type=message.DESCRIPTOR.full_name,
                data=message.SerializeToString(deterministic=True),
            )
            _judge(step.entry, await self._uninterrupted(self._run_child(step, start)))
        if step.entry.status != DONE:
            self.compensations.drop(added)
        self._settle(step)

    async def _run_child(self, step: _Step, start: ChildStart) -> SagaReport:
        """Run a child saga; what would end the step early makes the child end and undo itself."""
        identity = self.identity
        workflow_id = f"{step.info.name}/{identity.tenant}/{identity.correlation}/{step.info.path}"
        running = asyncio.ensure_future(self.host.child(workflow_id, start))
        await self.host.wait(lambda: running.done() or self._cutting(step) is not None, None)
        if not running.done():
            await self.host.cancel_child(workflow_id, str(self._cutting(step)))
        return await running

    async def parallel(self, steps: Sequence[Awaitable[Any]]) -> tuple[Any, ...]:
        """Run steps side by side; see `Saga.parallel`."""
        outer = scope()
        group = Scope(outer.next_path(), outer, seen=outer.seen, stopped=outer.stopped)
        branches = (_branch(group, number, step) for number, step in enumerate(steps, 1))
        results = await asyncio.gather(*branches, return_exceptions=True)
        outer.learn(group.seen, group.stopped)
        raised = [result for result in results if isinstance(result, BaseException)]
        if raised:
            raise min(raised, key=_weight)
        return tuple(results)

    def compensate_with(self, undo: Undo) -> None:
        """Register a compensation; see `Saga.compensate_with`."""
        self._register(scope().next_path(), undo)

    def _register(self, path: str, undo: Undo) -> list[Registered]:
        added = self.compensations.add(path, undo)
        for registered in added:
            self.outbox.check(registered.compensation.command)
        return added

    def interruptible(self, types: Sequence[type[Message]]) -> AbstractContextManager[None]:
        """Let events interrupt the block; see `Saga.interruptible_by`."""
        return interruptible(self._known(types))

    def changed(self, change: str) -> bool:
        """Return whether the code is that after a change; see `Saga.changed`."""
        entry = self._journal.entry(f"changed/{change}")
        if not entry.status:
            entry.status = DONE if self.host.changed(change) else REJECTED
        return entry.status == DONE

    def _known(self, types: Sequence[type[Message]]) -> frozenset[str]:
        names = {cls.DESCRIPTOR.full_name: cls for cls in types}
        self._classes.update(names)
        return frozenset(names)

    async def _begin(self, kind: SagaStepKind.ValueType, name: str) -> _Step:
        """Begin the next step; when this run is full, it begins in the next one."""
        path = scope().next_path()
        settled = self._journal.settled(path)
        if settled is None and self.host.full:
            await self.host.wait(lambda: False, None)
        info = self._report.begin(path, kind, name)
        entry = settled or self._journal.entry(path)
        return _Step(info, entry, settled is None, scope(), interrupts())

    def _first(self, step: _Step, types: frozenset[str]) -> int:
        """Return the number of the first event that a step waits for or that ends it early; or 0."""
        number = self._inbox.find(types | step.interrupts)
        return 0 if self._stops(step.scope, number) else number

    def _cutting(self, step: _Step, *, known: bool = False) -> SagaFailure | None:
        """Return what ends a step early now, or None; see `_cut`."""
        number = self._inbox.find(step.interrupts, step.scope.seen if known else None)
        if self._stops(step.scope, number, known=known):
            return SagaCancelled("CANCELLED", self.cancelled)
        if number:
            return Interrupted(self._opened(number))
        if step.scope.neighbour_failed and not known:
            return NeighbourFailed("NEIGHBOUR_FAILED", "a step beside it failed")
        return None

    def _stops(self, scope: Scope, number: int, *, known: bool = False) -> bool:
        """Return whether an operator cancelled the saga before an event came."""
        if not self.cancelled or scope.stopped or scope.seen > self.cancelled_after:
            return bool(self.cancelled)
        return not known and not 0 < number <= self.cancelled_after

    def _cut(self, step: _Step, *, known: bool = False) -> bool:
        """Record in a step's entry what ends it early; return whether anything does.

        Args:
            step: The step.
            known: Only by what its scope knows of already. A command may have been sent and the
                record of that lost with a process: the code that runs again must reach it in the
                same way, whatever has come in the meantime.
        """
        cutting = self._cutting(step, known=known)
        if isinstance(cutting, Interrupted):
            self._take(step, self._inbox.find(step.interrupts))
        elif cutting is not None:
            step.entry.status = INTERRUPTED
            step.scope.learn(0, isinstance(cutting, SagaCancelled))
        return cutting is not None

    def _take(self, step: _Step, number: int) -> None:
        """Let a step take an event: the one that it waits for, or one that ends it early."""
        event = self._inbox.take(number)
        step.entry.event = number
        step.entry.status = INTERRUPTED if event.type in step.interrupts else DONE

    def _settle(self, step: _Step) -> None:
        """Report the outcome of a step, and raise its failure."""
        if step.entry.event:
            self.outbox.latest = self._inbox.take(step.entry.event).event_id
            step.scope.learn(step.entry.event)
        error = self._error(step)
        if not step.info.HasField("ended_at"):
            reason, detail = (error.reason, error.message) if error else ("", "")
            self._report.end(step.info, step.entry.status, reason, detail)
        if error is not None:
            raise error

    def _error(self, step: _Step) -> SagaFailure | None:
        status, failure = step.entry.status, step.entry.outcome.failure
        if status == INTERRUPTED:
            return self._interrupted(step)
        if status == TIMED_OUT:
            return StepTimedOut("TIMED_OUT", f"{step.info.name} did not come in time")
        if status == REJECTED and step.info.kind == _CHILD:
            return ChildFailed(failure.reason, failure.message)
        if status == REJECTED:
            return StepRejected(failure.reason, failure.message, dict(failure.metadata))
        return None

    def _interrupted(self, step: _Step) -> SagaFailure:
        if step.entry.event:
            return Interrupted(self._opened(step.entry.event))
        if step.scope.stopped or (self.cancelled and not step.fresh):
            return SagaCancelled("CANCELLED", self.cancelled)
        return NeighbourFailed("NEIGHBOUR_FAILED", "a step beside it failed")

    def _opened(self, number: int) -> Message:
        event = self._inbox.events[number - 1]
        return self._classes[event.type].FromString(event.data)

    async def _uninterrupted(self, work: Awaitable[Any]) -> Any:
        self.busy += 1
        try:
            return await work
        finally:
            self.busy -= 1


async def _branch(group: Scope, number: int, step: Awaitable[Any]) -> Any:
    branch = group.branch(number)
    with entered(branch):
        try:
            return await step
        except SagaFailure:
            group.failed = True
            raise
        finally:
            group.learn(branch.seen, branch.stopped)


def _weight(error: BaseException) -> int:
    """Return the rank of what a branch raised: defects first, then failures, outside causes, echoes.

    Outside causes rank later: code that runs again may meet more of them than the first time.
    """
    if not isinstance(error, SagaFailure):
        return 0
    if isinstance(error, NeighbourFailed):
        return 3
    return 2 if isinstance(error, Interrupted | SagaCancelled) else 1


def _judge(entry: JournalEntry, report: SagaReport) -> None:
    """Record the outcome of a child saga."""
    entry.status = DONE if report.status == COMPLETED else REJECTED
    if entry.status == REJECTED:
        failure = Failure(reason=report.failure_reason, message=report.failure_detail)
        entry.outcome.failure.CopyFrom(failure)
