"""Runs sagas in tests: answers from a script, and a clock that jumps to the next event."""

from __future__ import annotations

import asyncio
import heapq
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from google.protobuf.message import Message
from intent_contracts.intent.v1 import (
    ChildStart,
    CommandEnvelope,
    CommandOutcome,
    CommandResult,
    Failure,
    FailureKind,
    RecordedEvent,
    SagaInput,
    SagaReport,
    SagaStatus,
)

from intent.contracts import Registry, parse, validate
from intent.errors import CommandError
from intent.ids import new_id
from intent.sagas import Port, Saga, SagaIdentity, SagaRun

__all__ = ["ScriptedHost"]

_START = datetime(2026, 1, 1, tzinfo=UTC)
_TURNS = 50
"""Turns of the event loop after which all that can run has run: tasks wait for the host alone."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """The outcome of sending a command once."""

    reason: str
    message: str
    away_for: timedelta
    events: Sequence[tuple[timedelta, Message]]


@dataclass(slots=True, eq=False)
class _Waiter:
    condition: Callable[[], bool]
    until: datetime | None
    future: asyncio.Future[bool]


class ScriptedHost:
    """A `SagaHost` that answers from a script.

    Args:
        saga: The saga's class.
        identity: Which saga it is.
        registry: The contracts.
        aggregate_id: The aggregate that recorded the events.
    """

    def __init__(
        self, saga: type[Saga], identity: SagaIdentity, registry: Registry, aggregate_id: str
    ) -> None:
        self._saga = saga
        self._registry = registry
        self.identity = identity
        self.aggregate_id = aggregate_id
        self.unchanged: set[str] = set()
        self.sent: list[Message] = []
        self.called: list[Message] = []
        self._answers: dict[str, deque[_Answer]] = defaultdict(deque)
        self._calls: dict[str, deque[Message]] = defaultdict(deque)
        self._children: dict[str, str] = {}
        self._agenda: list[tuple[datetime, int, Callable[[], None]]] = []
        self._numbers = count()
        self._waiters: list[_Waiter] = []
        self._now = _START
        self.run: SagaRun

    @property
    def elapsed(self) -> timedelta:
        """How long it has taken so far."""
        return self._now - _START

    # What the script says.

    def say(
        self,
        command: type[Message],
        reason: str,
        message: str,
        away_for: timedelta,
        events: Sequence[tuple[timedelta, Message]],
    ) -> None:
        """Add the outcome of a command."""
        self._answers[command.DESCRIPTOR.full_name].append(_Answer(reason, message, away_for, events))

    def answer(self, port: str, answers: Sequence[Message]) -> None:
        """Add the answers of a port."""
        self._calls[port].extend(answers)

    def child_ends(self, saga: str, failing: str) -> None:
        """Set how a child saga ends."""
        self._children[saga] = failing

    def later(self, moment: timedelta, action: Callable[[], None]) -> None:
        """Schedule an action at a time after the start."""
        heapq.heappush(self._agenda, (_START + moment, next(self._numbers), action))

    def arrives(self, moment: timedelta, event: Message) -> None:
        """Schedule the delivery of an event at a time after the start."""
        self.later(moment, lambda: self.run.deliver(_recorded(event, self)))

    def begin(self, started: Message, *, child: bool) -> None:
        """Create the run, with the event that starts it."""
        saga_input = SagaInput()
        if child:
            cause = RecordedEvent(event_id=str(new_id()), correlation_id="story", actor="user:test")
            saga_input.child.CopyFrom(
                ChildStart(cause=cause, type=started.DESCRIPTOR.full_name, data=started.SerializeToString())
            )
        self.run = SagaRun(self._saga, self.identity, self, saga_input)
        if not child:
            self.run.deliver(_recorded(started, self))

    async def play(self) -> None:
        """Run the saga until it ends, or nothing more is scheduled."""
        playing = asyncio.ensure_future(self.run.run())
        while not playing.done():
            await self._turn()
            if playing.done() or not (self._wake() or self._jump()):
                break
        if not playing.done():
            playing.cancel()
            await asyncio.gather(playing, return_exceptions=True)
            return
        await playing

    async def _turn(self) -> None:
        for _ in range(_TURNS):
            await asyncio.sleep(0)

    def _wake(self) -> bool:
        """Wake the waits whose condition holds or whose time has come; return whether there are any."""
        ready = [w for w in self._waiters if w.condition() or (w.until is not None and w.until <= self._now)]
        for waiter in ready:
            self._waiters.remove(waiter)
            if not waiter.future.done():
                waiter.future.set_result(waiter.condition())
        return bool(ready)

    def _jump(self) -> bool:
        """Jump to the next scheduled action; return False when there is none."""
        moments = [w.until for w in self._waiters if w.until is not None]
        moments += [self._agenda[0][0]] if self._agenda else []
        if not moments:
            return False
        self._now = max(self._now, min(moments))
        while self._agenda and self._agenda[0][0] <= self._now:
            heapq.heappop(self._agenda)[2]()
        return True

    # What the saga calls; see `SagaHost`.

    @property
    def full(self) -> bool:
        """Always False: a script is short."""
        return False

    def now(self) -> datetime:
        """Return the script's time."""
        return self._now

    def changed(self, change: str) -> bool:
        """Return False for changes that the script declares as later."""
        return change not in self.unchanged

    async def send(self, envelope: CommandEnvelope, on_delay: Callable[[], None]) -> CommandOutcome:
        """Answer a command from the script."""
        command = parse(self._registry.command(envelope.type).message, envelope.data)
        try:
            validate(command)
        except CommandError as error:
            raise AssertionError(f"the saga sends a command that breaks its contract: {error}") from error
        self.sent.append(command)
        said = self._said(envelope.type)
        if said.away_for:
            on_delay()
            await self.wait(lambda: False, self._now + said.away_for)
        for after, event in said.events:
            self.arrives(self.elapsed + after, event)
        return self._outcome(envelope, said)

    def _said(self, type_: str) -> _Answer:
        answers = self._answers[type_]
        if not answers:
            return _Answer("", "", timedelta(0), ())
        return answers.popleft() if len(answers) > 1 else answers[0]

    def _outcome(self, envelope: CommandEnvelope, said: _Answer) -> CommandOutcome:
        outcome = CommandOutcome(command_id=envelope.command_id, tenant_id=envelope.tenant_id)
        if said.reason:
            kind = FailureKind.FAILURE_KIND_REJECTED
            outcome.failure.CopyFrom(Failure(kind=kind, reason=said.reason, message=said.message))
        else:
            outcome.result.CopyFrom(CommandResult(command_id=envelope.command_id, version=1))
        return outcome

    async def call(self, port: Port[Any, Any], request: Message) -> Message:
        """Answer a call to a port from the script."""
        self.called.append(request)
        answers = self._calls[port.name]
        if not answers:
            raise AssertionError(f"the saga calls the port {port.name}; script its answer with answers(…)")
        return answers.popleft() if len(answers) > 1 else answers[0]

    async def child(self, workflow_id: str, start: ChildStart) -> SagaReport:
        """End a child as the script says; by default it completes."""
        name = workflow_id.partition("/")[0].rpartition(".")[2]
        failing = self._children.get(name, "")
        if failing:
            return SagaReport(status=SagaStatus.SAGA_STATUS_COMPENSATED, failure_reason=failing)
        return SagaReport(status=SagaStatus.SAGA_STATUS_COMPLETED)

    async def cancel_child(self, workflow_id: str, reason: str) -> None:
        """Do nothing: a scripted child ends at once."""

    async def wait(self, condition: Callable[[], bool], until: datetime | None) -> bool:
        """Wait on the script's clock."""
        if condition():
            return True
        waiter = _Waiter(condition, until, asyncio.get_running_loop().create_future())
        self._waiters.append(waiter)
        return await waiter.future

    async def checkpoint(self) -> None:
        """Do nothing: a script loses nothing."""

    def show(self, status: SagaStatus.ValueType, step: str) -> None:
        """Do nothing: nobody lists a scripted saga."""


def _recorded(event: Message, host: ScriptedHost) -> RecordedEvent:
    """Return an event as the log would hold it."""
    return RecordedEvent(
        event_id=str(new_id()),
        type=event.DESCRIPTOR.full_name,
        data=event.SerializeToString(deterministic=True),
        tenant_id=host.identity.tenant,
        aggregate_id=host.aggregate_id,
        correlation_id="story",
        actor="user:test",
    )
