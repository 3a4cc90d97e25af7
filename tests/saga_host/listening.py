"""A context to whose events a saga of a test listens, and such sagas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from intent.contracts import EventContract, SagaContract
from intent.model import BoundContext, Upcasters
from intent.temporal import names
from intent_contracts.intent.v1 import RecordedEvent, SagaInput
from intent_contracts.orders.v1 import OrderConfirmed
from temporalio import workflow

HEARD = ("orders.v1.OrderPlaced", "orders.v1.OrderConfirmed")


@dataclass(frozen=True)
class Listened:
    """The orders context, to whose events a saga listens; under a name of its own."""

    bound: BoundContext
    name: str
    correlated_by: str = ""
    saga: str = "test.v1.Listening"
    starts_on: Sequence[str] = HEARD[:1]
    further: Sequence[str] = ()

    @property
    def registry(self) -> Listened:
        return self

    @property
    def events(self) -> Mapping[str, EventContract]:
        return self.bound.registry.events

    @property
    def upcasters(self) -> Upcasters:
        return self.bound.upcasters

    def listeners(self, event_type: str) -> Sequence[SagaContract]:
        awaited = tuple(event for event in HEARD if event not in self.starts_on)
        sagas = [
            SagaContract(type_, OrderConfirmed, "test", tuple(self.starts_on), awaited, self.correlated_by)
            for type_ in (self.saga, *self.further)
        ]
        return sagas if event_type in HEARD else []


@workflow.defn(name="test.v1.Listening")
class Listening:
    """A saga that takes two events, each once, and ends."""

    def __init__(self) -> None:
        self.seen: dict[str, str] = {}

    @workflow.run
    async def run(self, saga_input: SagaInput | None = None) -> list[str]:
        for event in saga_input.events if saga_input is not None else ():
            self.deliver(event)
        await workflow.wait_condition(lambda: len(self.seen) == 2)
        return list(self.seen.values())

    @workflow.signal(name=names.SAGA_SIGNAL)
    def deliver(self, event: RecordedEvent) -> None:
        self.seen.setdefault(event.event_id, f"{event.type} v{event.version}")


@workflow.defn(name="test.v1.Hearing")
class Hearing:
    """A saga that never ends and shows the versions of the events that it took, each once."""

    def __init__(self) -> None:
        self.seen: dict[str, int] = {}

    @workflow.run
    async def run(self, saga_input: SagaInput | None = None) -> None:
        for event in saga_input.events if saga_input is not None else ():
            self.deliver(event)
        await workflow.wait_condition(lambda: False)

    @workflow.signal(name=names.SAGA_SIGNAL)
    def deliver(self, event: RecordedEvent) -> None:
        self.seen.setdefault(event.event_id, event.version)

    @workflow.query
    def heard(self) -> list[int]:
        return list(self.seen.values())


@workflow.defn(name="test.v1.HearingToo")
class HearingToo(Hearing):
    """A second saga of that kind."""

    @workflow.run
    async def run(self, saga_input: SagaInput | None = None) -> None:
        await super().run(saga_input)
