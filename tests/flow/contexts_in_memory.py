"""The four contexts and their sagas in memory, with everything in a random order.

All decisions are the real ones: aggregates, command handling, the in-memory event store, the code of
the sagas. Random is what a distributed system leaves open: which message comes next, which comes
twice, when somebody sends a command, and what a provider answers.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from google.protobuf.message import Message
from intent.commands import AggregateCache, CommandHandling
from intent.contracts import Registry, SagaContract
from intent.envelopes import current_event
from intent.model import BoundContext, discover
from intent.records import StreamKey
from intent.sagas import NeverStarted, Port, Saga, SagaIdentity, SagaRun
from intent.sagas.host import NEVER, Delayed, Problem
from intent.store.memory import MemoryEventStore
from intent_contracts.intent.v1 import (
    ChildStart,
    CommandEnvelope,
    CommandOutcome,
    RecordedEvent,
    SagaInput,
    SagaReport,
    SagaStatus,
)

__all__ = ["TENANT", "World"]

TENANT = "acme"
_TURNS = 12
_LOST = 0.1
_CONTINUES = 0.3
_CRASHES = 0.02
_STEPS = 4
REGISTRY = Registry.load()
CONTEXTS: Mapping[str, BoundContext] = {name: context.bind(REGISTRY) for name, context in discover().items()}
Action = Callable[[], Awaitable[None]]
Reaction = Callable[[Any, str], None]


@dataclass
class _Wait:
    """A waiting saga."""

    host: _Host
    condition: Callable[[], bool]
    until: datetime | None
    done: asyncio.Future[bool]


@dataclass
class _Saga:
    """A running saga: its saved state, the inputs since, and the process that works on it."""

    contract: SagaContract
    kept: SagaInput
    inputs: list[Callable[[SagaRun], None]]
    host: _Host
    run: SagaRun
    task: asyncio.Task[None] | None = None

    def feed(self, feed: Callable[[SagaRun], None]) -> None:
        """Give the saga an input, which is never lost."""
        self.inputs.append(feed)
        feed(self.run)

    @property
    def busy(self) -> bool:
        """True while it does something that is lost with its process."""
        return self.host.sending > 0


@dataclass
class _Context:
    """A context: its store, its command handling, and the position up to which its log is delivered."""

    bound: BoundContext
    store: MemoryEventStore = field(default_factory=MemoryEventStore)
    delivered: int = 0

    def __post_init__(self) -> None:
        self.handling = CommandHandling(self.bound, self.store, AggregateCache())


class World:
    """A world in which one thing happens at a time, in an order that follows from a seed.

    Args:
        seed: The seed of the random choices.
        sagas: The sagas that run, by the full names of their messages.
        repeats: The share of messages that arrive twice, 0 to 1.
    """

    def __init__(self, seed: int, sagas: Mapping[str, type[Saga]], repeats: float = 0.15) -> None:
        self.chance = random.Random(seed)
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.story: list[str] = []
        self.reactions: dict[str, Reaction] = {}
        self.reports: dict[str, SagaReport] = {}
        self._sagas = sagas
        self._repeats = repeats
        self._contexts = {name: _Context(bound) for name, bound in CONTEXTS.items()}
        self._pending: list[Action] = []
        self._waits: list[_Wait] = []
        self._alarms: list[tuple[datetime, Message]] = []
        self._running: dict[str, _Saga] = {}

    def soon(self, action: Action, *, repeatable: bool = False) -> None:
        """Let something happen some time, perhaps twice."""
        self._pending.append(action)
        if repeatable and self.chance.random() < self._repeats:
            self._pending.append(action)

    def asked_later(self, days: int, command: Message) -> None:
        """Let a command be sent in some days."""
        self._alarms.append((self.now + timedelta(days=days), command))

    def react(self, event: type[Message], reaction: Reaction) -> None:
        """Register a reaction that gets an event and the id of its aggregate once it is recorded."""
        self.reactions[event.DESCRIPTOR.full_name] = reaction

    def asked(self, command: Message) -> None:
        """Let a command be sent some time, perhaps twice with its id."""
        command_id = UUID(int=self.chance.getrandbits(128), version=4)
        self.soon(lambda: self._ask(command, command_id), repeatable=True)

    async def _ask(self, command: Message, command_id: UUID) -> None:
        await self.handle(
            CommandEnvelope(
                tenant_id=TENANT,
                command_id=str(command_id),
                type=command.DESCRIPTOR.full_name,
                data=command.SerializeToString(deterministic=True),
                correlation_id=str(command_id),
                actor="user:ann",
            )
        )

    async def handle(self, envelope: CommandEnvelope) -> CommandOutcome:
        """Handle a command at once."""
        context = self._contexts[REGISTRY.commands[envelope.type].context]
        handled = await context.handling.handle([envelope])
        (outcome,) = handled.outcomes
        self._note(envelope, outcome)
        await self._deliver_events(context)
        return outcome

    async def run(self) -> None:
        """Run until nothing more happens, not even in months."""
        while True:
            await self._settle()
            self._keep_or_lose()
            if self._pending:
                await self._pending.pop(self.chance.randrange(len(self._pending)))()
            elif not self._later():
                return

    def stopped_some_time(self) -> None:
        """Let an operator cancel all running sagas at some time."""

        async def stop() -> None:
            for saga in self._running.values():
                saga.feed(lambda run: run.cancel("an operator wants it"))

        self.soon(stop)

    def stuck(self) -> list[SagaReport]:
        """Return the reports of sagas that wait for an operator."""
        reports = [saga.run.report() for saga in self._running.values()]
        return [report for report in reports if report.status == SagaStatus.SAGA_STATUS_STUCK]

    async def state(self, context: str, aggregate: str, id_: str) -> Any:
        """Return the state of an aggregate."""
        kind = CONTEXTS[context].aggregates[aggregate]
        loaded = await self._contexts[context].store.load([StreamKey(TENANT, aggregate, id_)], [])
        stream = loaded.streams[StreamKey(TENANT, aggregate, id_)]
        return kind.restore(TENANT, id_, snapshot=stream.snapshot, events=stream.events).state

    def close(self) -> None:
        """End sagas that are still waiting."""
        for saga in self._running.values():
            if saga.task is not None:
                saga.task.cancel()

    async def _deliver_events(self, context: _Context) -> None:
        """Deliver what a context recorded to sagas and reactions."""
        for entry in await context.store.read_log(context.delivered, 1000):
            context.delivered = entry.position
            event = current_event(context.bound, entry)
            message = REGISTRY.events[event.type].message.FromString(event.data)
            self.story.append(f"  {event.type.rpartition('.')[2]} of {event.aggregate_id}")
            if event.type in self.reactions:
                self.reactions[event.type](message, event.aggregate_id)
            for saga in REGISTRY.listeners(event.type):
                if saga.type in self._sagas:
                    self._deliver(saga, event, message)

    def _deliver(self, saga: SagaContract, event: RecordedEvent, message: Message) -> None:
        named = saga.correlated_by in message.DESCRIPTOR.fields_by_name
        correlation = getattr(message, saga.correlated_by) if named else event.aggregate_id
        workflow_id = f"{saga.type}/{TENANT}/{correlation}"

        async def deliver() -> None:
            if workflow_id in self.reports:
                return
            if workflow_id not in self._running:
                self._start(saga, workflow_id, SagaInput())
            self._running[workflow_id].feed(lambda run: run.deliver(event))

        self.soon(deliver, repeatable=True)

    def _start(self, saga: SagaContract, workflow_id: str, start: SagaInput) -> None:
        host = _Host(self)
        run = SagaRun(self._sagas[saga.type], SagaIdentity(workflow_id, saga.sends), host, start)
        running = _Saga(saga, start, [], host, run)
        running.task = asyncio.create_task(self._follow(workflow_id, running))
        self._running[workflow_id] = running

    async def _follow(self, workflow_id: str, saga: _Saga) -> None:
        try:
            report = await saga.run.run()
        except NeverStarted:
            report = SagaReport(status=SagaStatus.SAGA_STATUS_UNSTARTED)
        if report is None:
            self._start(saga.contract, workflow_id, saga.run.onward())
            return
        del self._running[workflow_id]
        self.reports[workflow_id] = report

    def _keep_or_lose(self) -> None:
        """Save each saga that rests; now and then lose the process of one that does not."""
        for workflow_id, saga in list(self._running.items()):
            if not saga.busy:
                saga.kept, saga.inputs = saga.run.onward(), []
            elif self.chance.random() < _CRASHES:
                self._crash(workflow_id, saga)

    def _crash(self, workflow_id: str, saga: _Saga) -> None:
        """End the process; another continues from the saved state, with all inputs since."""
        assert saga.task is not None
        saga.task.cancel()
        for wait in [wait for wait in self._waits if wait.host is saga.host]:
            self._waits.remove(wait)
            wait.done.cancel()
        saga.host.end()
        self.story.append(f"the process of {workflow_id} is lost")
        self._start(saga.contract, workflow_id, saga.kept)
        for feed in saga.inputs:
            self._running[workflow_id].feed(feed)

    async def _settle(self) -> None:
        """Run the sagas until each of them waits for something that has not happened."""
        moved = True
        while moved:
            for _ in range(_TURNS):
                await asyncio.sleep(0)
            for saga in self._running.values():
                if saga.task is not None and saga.task.done():
                    saga.task.result()
            self._waits = [wait for wait in self._waits if not wait.done.done()]
            ready = [wait for wait in self._waits if wait.condition()]
            for wait in ready:
                wait.done.set_result(True)
            moved = bool(ready)

    def _later(self) -> bool:
        """Advance to the next time at which something happens; return False when there is none."""
        self._waits = [wait for wait in self._waits if not wait.done.done()]
        times = [wait.until for wait in self._waits if wait.until is not None]
        times += [at for at, _ in self._alarms]
        if not times:
            return False
        self.now = max(self.now, min(times))
        self.story.append(f"{self.now:%d %B}")
        due = [wait for wait in self._waits if wait.until is not None and wait.until <= self.now]
        self._waits = [wait for wait in self._waits if wait not in due]
        for command in [command for at, command in self._alarms if at <= self.now]:
            self.asked(command)
        self._alarms = [alarm for alarm in self._alarms if alarm[0] > self.now]
        for wait in due:
            wait.done.set_result(wait.condition())
        return True

    def _note(self, envelope: CommandEnvelope, outcome: CommandOutcome) -> None:
        name = envelope.type.rpartition(".")[2]
        refused = f": {outcome.failure.reason}" if outcome.HasField("failure") else ""
        self.story.append(f"{name}{refused}")


class _Host:
    """The host of one saga in a world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._full = world.chance.random() < _CONTINUES
        self._steps = 0
        self._answers: list[asyncio.Future[CommandOutcome]] = []

    @property
    def sending(self) -> int:
        """The number of commands in flight."""
        return sum(not answer.done() for answer in self._answers)

    def end(self) -> None:
        """End with the process; commands in flight may still arrive."""
        for answer in self._answers:
            answer.cancel()

    @property
    def full(self) -> bool:
        """Whether the saga continues in a new run, as some do after a few steps."""
        return self._full and self._steps > _STEPS

    @property
    def park_after(self) -> timedelta:
        return NEVER

    def now(self) -> datetime:
        return self._world.now

    def changed(self, change: str) -> bool:
        return True

    def follows(self, change: str, since: int = 1) -> bool:
        return True

    async def send_once(self, envelope: CommandEnvelope) -> CommandOutcome:
        """Send a command; now and then its answer is lost."""
        return await self._send(envelope, once=True)

    async def send(self, envelope: CommandEnvelope, path: str) -> CommandOutcome:
        """Send a command; when its answer is lost it is sent again."""
        return await self._send(envelope, once=False)

    async def _send(self, envelope: CommandEnvelope, *, once: bool) -> CommandOutcome:
        self._steps += 1
        done: asyncio.Future[CommandOutcome] = asyncio.get_running_loop().create_future()

        async def handle() -> None:
            outcome = await self._world.handle(envelope)
            if done.done():
                return
            if self._world.chance.random() >= _LOST:
                done.set_result(outcome)
            elif once:
                done.set_exception(Delayed(Problem("LOST", "the answer is lost")))
            else:
                self._world.soon(handle)

        self._world.soon(handle)
        self._answers.append(done)
        return await done

    async def call_once(self, port: Port[Any, Any], request: Message, path: str) -> Message:
        raise NotImplementedError(port.name)

    async def call(self, port: Port[Any, Any], request: Message, path: str) -> Message:
        raise NotImplementedError(port.name)

    def end_calls(self) -> None:
        raise NotImplementedError

    async def child(self, workflow_id: str, start: ChildStart) -> SagaReport:
        raise NotImplementedError(workflow_id)

    async def cancel_child(self, workflow_id: str, reason: str) -> None:
        raise NotImplementedError(workflow_id)

    async def checkpoint(self) -> None:
        """Let the world continue, which saves a saga that sends nothing."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def kept() -> None:
            if not done.done():
                done.set_result(None)

        self._world.soon(kept)
        await done

    async def wait(self, condition: Callable[[], bool], until: datetime | None) -> bool:
        if condition():
            return True
        self._steps += 1
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._world._waits.append(_Wait(self, condition, until, done))
        return await done

    def show(self, status: SagaStatus.ValueType, step: str) -> None:
        pass
