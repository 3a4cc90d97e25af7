"""Sagas that hear a lot: they continue in new runs, and what they carry and report is bounded."""

from __future__ import annotations

import random
from datetime import timedelta

from google.protobuf.message import Message
from intent.contracts import Registry
from intent.sagas import SagaIdentity, SagaRun
from intent.sagas.run import MOST_CARRIED
from intent.testing.scripted_host import ScriptedHost
from intent_contracts.intent.v1 import SagaInput, SagaStatus
from intent_contracts.orders.v1 import ConfirmOrder, OrderCancelled

from .saga_examples import CHECKOUT, Hearing

IDENTITY = SagaIdentity("orders.v1.FulfilOrder/acme/o-1", ["orders.v1.ConfirmOrder"])
END = OrderCancelled(reason="the end")


class Host(ScriptedHost):
    """A host whose runs are full once the saga has taken a number of steps."""

    def __init__(self) -> None:
        super().__init__(Hearing, IDENTITY, Registry.load(), "o-1")
        self.most_steps = 0

    @property
    def full(self) -> bool:
        return len(self.run._journal._entries) > self.most_steps

    def hears(self, *events: Message) -> None:
        for event in events:
            self.arrives(timedelta(0), event)

    async def continue_with(self, saga_input: SagaInput, most_steps: int) -> None:
        """Play on in a new run, with an input that has travelled."""
        travelled = SagaInput.FromString(saga_input.SerializeToString())
        self.run, self.most_steps = SagaRun(Hearing, IDENTITY, self, travelled), most_steps
        await self.play()


async def heard(events: list[OrderCancelled], most_steps: int) -> Host:
    """Play a saga until its run is full."""
    host = Host()
    host.begin(CHECKOUT, child=False)
    host.hears(*events)
    host.most_steps = most_steps
    await host.play()
    return host


def ends_after(host: Host, length: int) -> None:
    assert host.run.report().status == SagaStatus.SAGA_STATUS_COMPLETED
    assert host.sent == [ConfirmOrder(order_id=f"o-1-{length}")]


async def test_a_saga_that_hears_thousands_of_events_goes_on_in_a_new_run() -> None:
    events = [OrderCancelled(reason=f"{number:0100}") for number in range(5000)]
    host = await heard(events, most_steps=5000)
    carried = host.run.onward()
    assert carried.ByteSize() < MOST_CARRIED / 3
    assert carried.journal[0].event > len(carried.events), "an earlier release fails on it"
    report = host.run.report()
    assert (len(report.steps), report.omitted) == (400, 4600)
    assert [report.steps[index].path for index in (0, 199, 200, -1)] == ["1", "200", "4801", "5000"]
    assert report.ByteSize() < 100_000

    host.hears(END)
    await host.continue_with(carried, 6000)
    ends_after(host, 500_000)
    after = host.run.report()
    assert (len(after.steps), after.omitted + 400) == (400, 5002)
    assert after.steps[:200] == report.steps[:200], "what is left out stays out"


async def test_an_event_that_comes_again_in_the_new_run_is_dropped() -> None:
    host = await heard([OrderCancelled(reason="x" * 100_000) for _ in range(8)], most_steps=8)
    carried = host.run.onward()
    assert carried.packed
    again = host.run._inbox.events[3]
    host.later(timedelta(0), lambda: host.run.deliver(again))
    host.hears(END)
    await host.continue_with(carried, 100)
    ends_after(host, 800_000)


async def test_what_an_earlier_release_carried_over_is_continued() -> None:
    host = await heard([OrderCancelled(reason="x" * 5000) for _ in range(500)], most_steps=500)
    plain = host.run._onward()
    assert plain.events[-1].tenant_id == "acme"
    assert not plain.packed
    host.hears(END)
    await host.continue_with(plain, 1000)
    ends_after(host, 2_500_000)


async def test_what_is_too_large_for_a_new_run_goes_on_in_this_one_with_a_warning() -> None:
    source = random.Random(1)
    events = [OrderCancelled(reason=source.randbytes(100_000).hex()) for _ in range(20)]
    host = await heard([*events, END], most_steps=3)
    while host.run.report().status != SagaStatus.SAGA_STATUS_COMPLETED:
        carried = host.run.onward()
        assert carried.ByteSize() < MOST_CARRIED
        await host.continue_with(carried, len(host.run._journal.entries) + 3)
    ends_after(host, 4_000_000)
    assert "that it can take into a new run; it continues in this run" in host.run.report().warning
