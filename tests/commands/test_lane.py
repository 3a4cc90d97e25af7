"""A lane forms batches: fair to tenants, in order per tenant, bounded, and at once when idle."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from intent.commands.lane import Lane, LaneLimits
from intent.commands.pending import Pending, Waiter
from intent.commands.requests import CommandRequest
from intent.contracts import Registry
from intent.errors import Overloaded
from intent.model import load_context
from intent.origin import Origin
from intent.records import CommandKey
from intent_contracts.intent.v1 import CommandEnvelope
from intent_contracts.orders.v1 import PlaceOrder

CONTRACT = load_context("orders").bind(Registry.load()).registry.command("orders.v1.PlaceOrder")


def pending(tenant: str, name: str = "", size: int = 100) -> Pending:
    command_id = uuid4()
    request = CommandRequest(CONTRACT, PlaceOrder(), Origin(tenant, command_id, ""))
    pending = Pending(CommandEnvelope(type=name), CommandKey(tenant, command_id), b"", size, request)
    loop = asyncio.get_running_loop()
    pending.waiters.append(Waiter(loop.create_future(), loop.time(), applied_only=True, joined=False))
    return pending


def submitted(tenant: str, name: str) -> Pending:
    """Return a command whose caller waits only for a workflow that carries it."""
    made = pending(tenant, name)
    made.waiters.clear()
    made.accepted = asyncio.get_running_loop().create_future()
    made.submitters = 1
    return made


class Recorder:
    """Takes batches; each is in flight until it is released."""

    def __init__(self) -> None:
        self.batches: list[list[Pending]] = []
        self.sent = asyncio.Event()
        self._gate = asyncio.Semaphore(0)

    async def send(self, batch: list[Pending], hurried: bool = False) -> bool:
        self.batches.append(batch)
        self.sent.set()
        for item in batch:
            item.accept("workflow")
        if hurried:
            return False
        await self._gate.acquire()
        return True

    def let_go(self, batches: int = 1_000) -> None:
        for _ in range(batches):
            self._gate.release()

    def names(self) -> list[list[str]]:
        return [[item.envelope.type for item in batch] for batch in self.batches]


async def test_an_idle_lane_sends_the_first_command_at_once_and_the_rest_together() -> None:
    recorder = Recorder()
    lane = Lane(recorder.send, LaneLimits())
    lane.offer(pending("acme", "1"))
    await recorder.sent.wait()
    for name in "234":
        lane.offer(pending("acme", name))
    recorder.let_go()
    await lane.drained()
    assert recorder.names() == [["1"], ["2", "3", "4"]]


async def test_after_a_large_batch_a_lane_waits_for_more_until_a_batch_is_full() -> None:
    recorder = Recorder()
    lane = Lane(recorder.send, LaneLimits(batch_commands=4, crowd=2, pause=1e9, longest_pause=60))
    for name in "12":
        lane.offer(pending("acme", name))
    await recorder.sent.wait()
    lane.offer(pending("acme", "3"))
    recorder.let_go()
    for _ in range(10):
        await asyncio.sleep(0)
    for name in "456":
        lane.offer(pending("acme", name))
    await asyncio.wait_for(lane.drained(), 30)
    assert recorder.names() == [["1", "2"], ["3", "4", "5", "6"]]


async def test_a_batch_that_left_some_behind_is_followed_by_the_next_at_once() -> None:
    recorder = Recorder()
    recorder.let_go()
    lane = Lane(recorder.send, LaneLimits(batch_commands=2, crowd=2, pause=1e9, longest_pause=60))
    for name in "12345":
        lane.offer(pending("acme", name))
    await asyncio.wait_for(lane.drained(), 30)
    assert recorder.names() == [["1", "2"], ["3", "4"], ["5"]]


async def test_tenants_take_turns_so_that_a_long_queue_does_not_starve_a_short_one() -> None:
    recorder = Recorder()
    lane = Lane(recorder.send, LaneLimits(batch_commands=4))
    lane.offer(pending("first", "go"))
    await recorder.sent.wait()
    for number in range(6):
        lane.offer(pending("busy", f"b{number}"))
    lane.offer(pending("quiet", "q0"))
    recorder.let_go()
    await lane.drained()
    assert recorder.names()[1] == ["b0", "q0", "b1", "b2"]


async def test_a_batch_is_limited_by_bytes_and_a_larger_command_is_sent_alone() -> None:
    recorder = Recorder()
    lane = Lane(recorder.send, LaneLimits(batch_bytes=250))
    lane.offer(pending("acme", "go"))
    await recorder.sent.wait()
    for name, size in (("a", 100), ("b", 100), ("c", 100), ("huge", 900), ("d", 10)):
        lane.offer(pending("acme", name, size))
    recorder.let_go()
    await lane.drained()
    assert recorder.names()[1:] == [["a", "b"], ["c"], ["huge"], ["d"]]


async def test_a_full_lane_refuses_and_says_when_to_try_again() -> None:
    recorder = Recorder()
    lane = Lane(recorder.send, LaneLimits(capacity=2))
    lane.offer(pending("acme"))
    await recorder.sent.wait()
    lane.offer(pending("acme"))
    lane.offer(pending("acme"))
    with pytest.raises(Overloaded) as refused:
        lane.offer(pending("acme"))
    assert refused.value.retry_after_ms > 0
    recorder.let_go()
    await lane.drained()
    assert sum(map(len, recorder.batches)) == 3


async def test_a_tenant_that_fills_the_lane_does_not_have_another_refused() -> None:
    recorder = Recorder()
    lane = Lane(recorder.send, LaneLimits(capacity=100))
    lane.offer(pending("loud", "go"))
    await recorder.sent.wait()
    loud = [pending("loud", str(number)) for number in range(200)]
    for command in loud[:100]:
        lane.offer(command)
    with pytest.raises(Overloaded, match="100 commands of loud"):
        lane.offer(loud[100])
    quiet = [pending("quiet", f"q{number}") for number in range(50)]
    for command in quiet:
        lane.offer(command)
    with pytest.raises(Overloaded):
        lane.offer(loud[101])
    assert lane.depth == 100, "room was made of what is beyond the share of the other"
    refused = [command for command in loud if command.waiters[0].future.done()]
    assert [command.envelope.type for command in refused] == [str(n) for n in range(50, 100)]
    assert all(isinstance(command.waiters[0].future.exception(), Overloaded) for command in refused)
    recorder.let_go()
    await lane.drained()
    assert {item.key for batch in recorder.batches for item in batch} >= {item.key for item in quiet}


async def test_a_lane_is_bounded_in_bytes_and_each_tenant_has_its_share() -> None:
    recorder = Recorder()
    lane = Lane(recorder.send, LaneLimits(capacity_bytes=1000))
    lane.offer(pending("loud", "go", 1))
    await recorder.sent.wait()
    for number in range(3):
        lane.offer(pending("loud", str(number), 300))
    with pytest.raises(Overloaded) as refused:
        lane.offer(pending("loud", "3", 300))
    assert refused.value.metadata["bytes"] == "900"
    lane.offer(pending("quiet", "q", 400))
    recorder.let_go()
    await lane.drained()
    assert sorted(name for names in recorder.names() for name in names) == ["0", "1", "go", "q"]


async def test_more_tenants_than_fit_are_refused_once_each_has_one_command() -> None:
    recorder = Recorder()
    lane = Lane(recorder.send, LaneLimits(capacity=3))
    lane.offer(pending("first", "go"))
    await recorder.sent.wait()
    for tenant in "abc":
        lane.offer(pending(tenant, tenant))
    with pytest.raises(Overloaded):
        lane.offer(pending("d", "d"))
    recorder.let_go()
    await lane.drained()
    assert recorder.names()[1:] == [["a", "b", "c"]]


async def test_commands_whose_callers_have_left_make_room_at_once_and_submitted_ones_stay() -> None:
    recorder = Recorder()
    lane = Lane(recorder.send, LaneLimits(capacity=3))
    lane.offer(pending("acme", "go"))
    await recorder.sent.wait()
    left, stays, kept = pending("acme", "left"), pending("acme", "stays"), submitted("acme", "kept")
    for command in (left, stays, kept):
        lane.offer(command)
    left.waiters[0].future.cancel()
    lane.drop_abandoned()
    assert (lane.depth, left.dropped) == (2, True)
    lane.offer(pending("acme", "new"))
    recorder.let_go()
    await lane.drained()
    assert recorder.names()[1:] == [["stays", "kept", "new"]]


async def test_submitted_commands_pass_a_batch_that_is_stuck() -> None:
    recorder = Recorder()
    lane = Lane(recorder.send, LaneLimits(overdue_after=0.2))
    lane.offer(pending("acme", "stuck"))
    lane.offer(pending("acme", "waits"))
    await recorder.sent.wait()
    for name in ("s1", "s2"):
        command = submitted("acme", name)
        lane.offer(command)
        lane.offer(pending("acme", f"after {name}"))
        assert await asyncio.wait_for(command.acceptance(), 60) == "workflow"
    recorder.let_go()
    await asyncio.wait_for(lane.drained(), 60)
    assert ["s2"] in recorder.names(), "it did not wait for the batch before it"


async def test_once_a_batch_is_finished_submitted_commands_take_turns_again() -> None:
    recorder = Recorder()
    lane = Lane(recorder.send, LaneLimits(overdue_after=0.2))
    lane.offer(pending("acme", "stuck"))
    await recorder.sent.wait()
    first = submitted("acme", "first")
    lane.offer(first)
    recorder.let_go(2)
    await asyncio.wait_for(lane.drained(), 60)
    lane.offer(pending("acme", "a"))
    lane.offer(submitted("acme", "b"))
    recorder.let_go()
    await asyncio.wait_for(lane.drained(), 60)
    assert recorder.names()[-1] == ["a", "b"]


async def test_a_command_that_nobody_waits_for_any_more_is_not_started() -> None:
    recorder = Recorder()
    lane = Lane(recorder.send, LaneLimits())
    lane.offer(pending("acme", "go"))
    await recorder.sent.wait()
    gone, stays = pending("acme", "gone"), pending("acme", "stays")
    lane.offer(gone)
    lane.offer(stays)
    gone.waiters[0].future.cancel()
    recorder.let_go()
    await lane.drained()
    assert recorder.names() == [["go"], ["stays"]]
    assert gone.dropped


@settings(max_examples=60, deadline=None)
@given(
    offers=st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 400)), max_size=60),
    limits=st.builds(
        LaneLimits,
        batch_commands=st.integers(1, 8),
        batch_bytes=st.integers(1, 600),
        crowd=st.integers(1, 9),
        longest_pause=st.just(0.001),
    ),
)
def test_every_command_is_sent_once_in_order_per_tenant_within_the_limits(
    offers: list[tuple[str, int]], limits: LaneLimits
) -> None:
    batches = asyncio.run(_send_all(offers, limits))
    sent = [item for batch in batches for item in batch]
    order: Callable[[str], list[str]] = lambda tenant: [  # noqa: E731
        item.envelope.type for item in sent if item.key.tenant == tenant
    ]
    for tenant in "abc":
        assert order(tenant) == [str(i) for i, (whose, _) in enumerate(offers) if whose == tenant]
    for batch in batches:
        assert len(batch) <= limits.batch_commands
        assert len(batch) == 1 or sum(item.size for item in batch) <= limits.batch_bytes


async def _send_all(offers: list[tuple[str, int]], limits: LaneLimits) -> list[list[Pending]]:
    recorder = Recorder()
    recorder.let_go()
    lane = Lane(recorder.send, limits)
    for number, (tenant, size) in enumerate(offers):
        lane.offer(pending(tenant, str(number), size))
        if number % 7 == 0:
            await asyncio.sleep(0)
    await lane.drained()
    return recorder.batches
