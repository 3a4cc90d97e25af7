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
    RecordedEvent,
    SagaInput,
    SagaReport,
    SagaStatus,
)

from intent.contracts import Registry, parse, validate
from intent.errors import CommandError
from intent.ids import new_id
from intent.sagas import Port, Saga, SagaIdentity, SagaRun
from intent.sagas.host import CallEnded, Delayed, Problem

__all__ = ["ScriptedHost"]

_START = datetime(2026, 1, 1, tzinfo=UTC)
_TURNS = 50
"""Turns of the event loop after which all that can run has run: tasks wait for the host alone."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """The outcome of sending a command once.

    Attributes:
        failure: Why it has no effect; None: it has.
        away_for: How long its context is unavailable first.
        events: What is delivered after it, and how long after.
        once: Whether it is the outcome of one attempt alone, even when it is the last of the script.
    """

    failure: Failure | None = None
    away_for: timedelta = timedelta(0)
    events: Sequence[tuple[timedelta, Message]] = ()
    once: bool = False


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
        self.package = saga.__module__.partition(".")[0]
        self._registry = registry
        self.identity = identity
        self.aggregate_id = aggregate_id
        self.unchanged: set[str] = set()
        self.sent: list[Message] = []
        self.called: list[Message] = []
        self.park_after = timedelta(days=1)
        self._answers: dict[str, deque[_Answer]] = defaultdict(deque)
        self._calls: dict[str, deque[Message]] = defaultdict(deque)
        self._unanswered: dict[str, timedelta] = {}
        self._pending: dict[str, tuple[_Answer, datetime | None]] = {}
        self._ended_calls = 0
        self._ids: set[str] = set()
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
        *,
        failure: Failure | None = None,
        away_for: timedelta = timedelta(0),
        events: Sequence[tuple[timedelta, Message]] = (),
        times: int | None = None,
    ) -> None:
        """Add the outcome of a command, or of some attempts of it."""
        answer = _Answer(failure, away_for, events, once=times is not None)
        self._answers[command.DESCRIPTOR.full_name].extend([answer] * (1 if times is None else times))

    def answer(self, port: str, answers: Sequence[Message], away_for: timedelta) -> None:
        """Add the answers of a port, the first of them after it was unavailable for a while."""
        self._calls[port].extend(answers)
        if away_for:
            self._unanswered[port] = away_for

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

    def follows(self, change: str, since: int = 1) -> bool:
        """Return False for changes that the script says came later."""
        return change not in self.unchanged

    async def send_once(self, envelope: CommandEnvelope) -> CommandOutcome:
        """Answer a command from the script, unless its context is unavailable."""
        if envelope.command_id not in self._pending:
            self._record(envelope)
            said = self._said(envelope.type)
            self._pending[envelope.command_id] = said, self._later(said.away_for)
        said, until = self._pending[envelope.command_id]
        if until is None or until > self._now:
            raise Delayed(Problem("UNAVAILABLE", "scripted: its context is unavailable"))
        return self._outcome(envelope, said)

    async def send(self, envelope: CommandEnvelope, path: str) -> CommandOutcome:
        """Answer a command from the script, once its context is available."""
        said, until = self._pending[envelope.command_id]
        await self.wait(lambda: False, until)
        return self._outcome(envelope, said)

    def _record(self, envelope: CommandEnvelope) -> None:
        """Record a command under its id, once."""
        command = parse(self._registry.command(envelope.type).message, envelope.data)
        try:
            validate(command)
        except CommandError as error:
            raise AssertionError(f"the saga sends a command that breaks its contract: {error}") from error
        if envelope.command_id not in self._ids:
            self._ids.add(envelope.command_id)
            self.sent.append(command)

    def _said(self, type_: str) -> _Answer:
        answers = self._answers[type_]
        if not answers:
            return _Answer()
        return answers.popleft() if len(answers) > 1 or answers[0].once else answers[0]

    def _outcome(self, envelope: CommandEnvelope, said: _Answer) -> CommandOutcome:
        self._pending.pop(envelope.command_id, None)
        for after, event in said.events:
            self.arrives(self.elapsed + after, event)
        outcome = CommandOutcome(command_id=envelope.command_id, tenant_id=envelope.tenant_id)
        if said.failure is not None:
            outcome.failure.CopyFrom(said.failure)
        else:
            outcome.result.CopyFrom(CommandResult(command_id=envelope.command_id, version=1))
        return outcome

    def _later(self, away_for: timedelta) -> datetime | None:
        """Return when something is available again; None: never."""
        try:
            return self._now + away_for
        except OverflowError:
            return None

    async def call_once(self, port: Port[Any, Any], request: Message, path: str) -> Message:
        """Answer a call to a port from the script, unless it is unavailable."""
        self.called.append(request)
        if port.name in self._unanswered:
            raise Delayed(Problem("NO_ANSWER", f"scripted: the port {port.name} does not answer"))
        return self._answer(port)

    async def call(self, port: Port[Any, Any], request: Message, path: str) -> Message:
        """Answer a call to a port from the script, once it is available."""
        ended = self._ended_calls
        until = self._later(self._unanswered[port.name])
        if await self.wait(lambda: self._ended_calls > ended, until):
            raise CallEnded
        self._unanswered.pop(port.name, None)
        return self._answer(port)

    def _answer(self, port: Port[Any, Any]) -> Message:
        answers = self._calls[port.name]
        if not answers:
            raise AssertionError(f"the saga calls the port {port.name}; script its answer with answers(…)")
        return answers.popleft() if len(answers) > 1 else answers[0]

    def end_calls(self) -> None:
        """End the calls of ports that do not answer."""
        self._ended_calls += 1

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
