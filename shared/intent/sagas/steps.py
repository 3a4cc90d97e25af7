"""The steps of a saga: each has a path and is taken once, and its outcome is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Final

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
from intent.sagas.attempts import Attempts, GivenUp
from intent.sagas.compensation import Compensations, Registered, Undo
from intent.sagas.host import SagaHost
from intent.sagas.inbox import Inbox
from intent.sagas.journal import (
    DONE,
    INTERRUPTED,
    REJECTED,
    SKIPPED,
    TIMED_OUT,
    Journal,
    may_have_effect,
    settle_child,
)
from intent.sagas.outbox import Outbox, SagaIdentity
from intent.sagas.port import Port
from intent.sagas.report import HELD_UP, WAITING, Report
from intent.sagas.scope import Scope, interruptible, interrupts, scope

__all__ = ["Steps"]

_COMMAND = SagaStepKind.SAGA_STEP_KIND_COMMAND
_EVENT = SagaStepKind.SAGA_STEP_KIND_EVENT
_SLEEP = SagaStepKind.SAGA_STEP_KIND_SLEEP
_CALL = SagaStepKind.SAGA_STEP_KIND_CALL
_CHILD = SagaStepKind.SAGA_STEP_KIND_CHILD

_CANCEL_ENDS_CALLS: Final = "cancel-ends-calls"
"""The change since which cancelling a saga ends its calls of ports."""


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
        outbox: Makes its commands.
        attempts: Sends them, and calls ports.

    Attributes:
        compensations: What undoes the steps when it fails.
        cancelled: Why an operator cancelled it; empty: no operator did.
        cancelled_after: How many events had come before.
        busy: How many steps are under way that a new run could not take over.
        full: Returns whether further steps begin in a new run.
    """

    def __init__(
        self,
        identity: SagaIdentity,
        host: SagaHost,
        inbox: Inbox,
        journal: Journal,
        report: Report,
        outbox: Outbox,
        attempts: Attempts,
    ) -> None:
        self.identity = identity
        self.host = host
        self.compensations = Compensations()
        self.cancelled = ""
        self.cancelled_after = -1
        self.busy = 0
        self.full: Callable[[], bool] = lambda: host.full
        self._inbox = inbox
        self._journal = journal
        self._report = report
        self.outbox = outbox
        self._attempts = attempts
        self._calls = 0
        self._classes: dict[str, type[Message]] = {}

    async def execute(self, command: Message, undo: Undo) -> CommandResult:
        """Send a command; see `Saga.execute`."""
        self.outbox.check(command)
        step = await self._begin(_COMMAND, command.DESCRIPTOR.full_name)
        added = self._register(step.info.path, undo)
        if step.fresh and not self._cut(step, known=True):
            await self._decide(step, command)
        if not may_have_effect(step.entry):
            self.compensations.drop(added)
        self._settle(step)
        return step.entry.outcome.result

    async def _decide(self, step: _Step, command: Message) -> None:
        envelope = partial(self.outbox.envelope, step.info.path, command)
        try:
            outcome = await self._uninterrupted(
                self._attempts.executed(step.info, envelope, partial(self._cancels, step))
            )
        except GivenUp as given_up:
            return self._give_up(step, given_up)
        if outcome.HasField("failure"):
            step.entry.outcome.failure.CopyFrom(outcome.failure)
            step.entry.status = REJECTED
            return None
        step.entry.outcome.result.CopyFrom(outcome.result)
        step.entry.outcome.result.ClearField("events")
        step.entry.status = DONE
        return None

    def _cancels(self, step: _Step) -> bool:
        """Return whether an operator's cancellation ends a step that is held up."""
        return bool(self.cancelled) and self._cutting(step) is not None

    def _give_up(self, step: _Step, given_up: GivenUp) -> None:
        """Record a step that ends without an outcome."""
        step.entry.outcome.failure.CopyFrom(given_up.failure)
        if given_up.skip is not None:
            step.entry.status = SKIPPED
        else:
            self._cut(step)

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
            status = self._report.status
            self.host.show(status if status in HELD_UP else WAITING, self._report.current)
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
            await self._ask(step, port, request)
        self._settle(step)
        return port.answer.FromString(step.entry.answer)

    async def _ask(self, step: _Step, port: Port[Any, Any], request: Message) -> None:
        entry = step.entry
        self._calls += 1
        try:
            answer = await self._uninterrupted(
                self._attempts.answered(step.info, port, request, partial(self._cancels, step))
            )
        except GivenUp as given_up:
            self._give_up(step, given_up)
        except StepRejected as error:
            entry.outcome.failure.CopyFrom(Failure(reason=error.reason, message=error.message))
            entry.status = REJECTED
        else:
            entry.answer = answer.SerializeToString(deterministic=True)
            entry.status = DONE
        finally:
            self._calls -= 1

    def end_calls(self) -> None:
        """End the calls of ports under way: the saga is cancelled."""
        if self._calls and self.host.follows(_CANCEL_ENDS_CALLS):
            self.host.end_calls()

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
            settle_child(step.entry, await self._uninterrupted(self._run_child(step, start)))
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
        if settled is None and self.full():
            await self.host.wait(lambda: False, None)
        info = self._report.begin(path, kind, name, settled=settled is not None)
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
        if status in (REJECTED, SKIPPED):
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
