"""The Python runner: handlers by event type, commands with repeatable ids, and reconnecting forever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

import pytest
from google.protobuf.message import Message
from intent.client import ConsumerRunner, IntentClient, RetryPolicy
from intent.errors import (
    CommandError,
    HandlerFailed,
    PermissionDenied,
    Rejected,
    Unavailable,
)
from intent.ids import new_id
from intent.model import Consumer, EventMetadata, IntendedCommand, command_id_of, consumes
from intent.origin import Origin
from intent.records import StreamKey
from intent.store import CommandWrite, EventWrite, StreamAppend
from intent_contracts.orders.v1 import OrderCancelled, OrderConfirmed, OrderPlaced
from intent_contracts.shipping.v1 import NoteOrder, NoteOrderStatus

from .cluster import NAME, OWNER, TIMEOUT, TRACE, Cluster, Process, until


class NoteOrders(Consumer):
    name = NAME
    concurrency = 4

    @consumes
    def placed(self, event: OrderPlaced, meta: EventMetadata) -> Sequence[Message]:
        note = NoteOrder(order_id=meta.aggregate_id, customer_id=event.customer_id)
        return [note, NoteOrderStatus(order_id=meta.aggregate_id, status="placed")]

    @consumes
    async def confirmed(self, event: OrderConfirmed, meta: EventMetadata) -> NoteOrderStatus:
        return NoteOrderStatus(order_id=meta.aggregate_id, status="confirmed")


class Sent:
    """Records the commands; a test may replace `answer`."""

    def __init__(self) -> None:
        self.commands: list[IntendedCommand] = []
        self.under_way = self.most = 0
        self._more = asyncio.Condition()
        self.answer: Callable[[IntendedCommand], None] = lambda _: None

    async def __call__(self, intended: IntendedCommand) -> None:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await asyncio.sleep(0.01)
            self.answer(intended)
        finally:
            self.under_way -= 1
        async with self._more:
            self.commands.append(intended)
            self._more.notify_all()

    async def has(self, count: int) -> None:
        async with asyncio.timeout(TIMEOUT), self._more:
            await self._more.wait_for(lambda: len(self.commands) >= count)


@asynccontextmanager
async def running(client: IntentClient, consumer: Consumer, sent: Sent) -> AsyncIterator[ConsumerRunner]:
    runner = client.consume(consumer, send=sent)
    task = asyncio.create_task(runner.run())
    try:
        yield runner
    finally:
        runner.stop()
        async with asyncio.timeout(TIMEOUT):
            await task


async def test_commands_follow_from_events_with_ids_of_their_own(cluster: Cluster, process: Process) -> None:
    await cluster.record("o-1", OrderPlaced(customer_id="ann"), "orders.v1.OrderConfirmed")
    sent = Sent()
    async with running(process.client(), NoteOrders(), sent) as runner:
        await sent.has(3)
        assert runner.figures.connected
    (event, *_) = await cluster.store.read_log(0, 1)
    note, *statuses = sent.commands
    assert note.command == NoteOrder(order_id="o-1", customer_id="ann")
    command_id = command_id_of(NAME, event.event_id, "1")
    assert note.origin == Origin(
        "acme", command_id, "correlation-1", str(event.event_id), f"consumer:{NAME}", TRACE
    )
    assert [sent.command.status for sent in statuses] == ["placed", "confirmed"]  # type: ignore[attr-defined]
    assert len({command.origin.command_id for command in sent.commands}) == 3
    assert (runner.figures.handled, runner.figures.failures, runner.figures.connected) == (2, 0, False)


async def test_a_redelivered_event_has_the_same_command_ids(cluster: Cluster, process: Process) -> None:
    await cluster.record("o-1", OrderPlaced(customer_id="ann"))
    sent, ids = Sent(), []

    def raise_once(intended: IntendedCommand) -> None:
        ids.append(intended.origin.command_id)
        if len(ids) == 2:
            raise HandlerFailed("INTERNAL", "a defect")

    sent.answer = raise_once
    async with running(process.client(), NoteOrders(), sent) as runner:
        await sent.has(3)
        assert runner.figures.failures == 1
    assert ids[:2] == ids[2:]


async def test_progress_is_saved_when_it_stops(cluster: Cluster, process: Process) -> None:
    await cluster.record_many(orders=20, rounds=2)
    sent = Sent()
    async with running(process.client(), NoteOrders(), sent):
        await sent.has(40)
    await cluster.record("o-new")
    async with running(process.client(), NoteOrders(), sent):
        await sent.has(41)
    assert len(sent.commands) == 41
    assert sent.commands[-1].command == NoteOrderStatus(order_id="o-new", status="confirmed")


async def test_it_handles_events_concurrently_and_each_stream_in_order(
    cluster: Cluster, process: Process
) -> None:
    await cluster.record_many(orders=12, rounds=3)
    sent = Sent()
    async with running(process.client(), NoteOrders(), sent):
        await sent.has(36)
    assert 1 < sent.most <= NoteOrders.concurrency
    causes = [UUID(command.origin.causation_id) for command in sent.commands]
    log = {entry.event_id: entry for entry in await cluster.store.read_log(0, 100)}
    for order in {entry.aggregate_id for entry in log.values()}:
        versions = [log[cause].version for cause in causes if log[cause].aggregate_id == order]
        assert versions == [1, 2, 3]


async def test_an_unavailable_context_is_waited_for_and_the_event_does_not_fail(
    cluster: Cluster, process: Process
) -> None:
    await cluster.record("o-1")
    sent, calls = Sent(), 0

    def unavailable(_: IntendedCommand) -> None:
        nonlocal calls
        calls += 1
        if calls < 4:
            raise Unavailable("UNAVAILABLE", "shipping is unavailable")

    sent.answer = unavailable
    async with running(process.client(), NoteOrders(), sent) as runner:
        await sent.has(1)
        assert (calls, runner.figures.failures) == (4, 0)


async def test_an_event_of_a_later_version_waits_for_a_release_that_knows_it(
    cluster: Cluster, process: Process, caplog: pytest.LogCaptureFixture
) -> None:
    later = EventWrite(new_id(), "orders.v1.OrderPlaced", 9, b"")
    command = CommandWrite(Origin("acme", new_id(), "c"), b"", b"", [later])
    await cluster.store.append([StreamAppend(StreamKey("acme", "Order", "o-1"), 0, [command])])
    await cluster.record("o-2")
    sent, client = Sent(), process.client()

    async def is_waiting() -> bool:
        return "version 9 is later than version 2, which this release knows" in caplog.text

    async with running(client, NoteOrders(), sent) as runner:
        await sent.has(1)
        await until(is_waiting)
        assert runner.figures.failures == 0
    assert not (await client.consumers.parked()).parked
    assert len(sent.commands) == 1, "only the other order's event was handled"


async def test_a_handler_that_raises_parks_the_stream_with_its_message(
    cluster: Cluster, process: Process
) -> None:
    class Broken(NoteOrders):
        attempts = 2

        @consumes
        def cancelled(self, event: OrderCancelled) -> None:
            raise ValueError("no such order \ud800\0")

    await cluster.record("o-1", "orders.v1.OrderCancelled")
    await cluster.record("o-2")
    sent, client = Sent(), process.client()

    async def is_parked() -> bool:
        return len((await client.consumers.parked()).parked) == 1

    async with running(client, Broken(), sent):
        await sent.has(1)
        await until(is_parked)
    (event,) = (await client.consumers.parked()).parked
    assert (event.error, event.attempts) == ("ValueError: no such order \\ud800\\u0000", 2)


async def test_a_handler_that_takes_too_long_has_failed(cluster: Cluster, process: Process) -> None:
    class Slow(NoteOrders):
        attempts = 1
        timeout = 0.05

        @consumes
        async def cancelled(self, event: OrderCancelled) -> None:
            await asyncio.Event().wait()

    await cluster.record("o-1", "orders.v1.OrderCancelled")
    client = process.client()

    async def is_parked() -> bool:
        events = (await client.consumers.parked()).parked
        return len(events) == 1 and "longer than 0.05 s" in events[0].error

    async with running(client, Slow(), Sent()):
        await until(is_parked)


async def test_it_joins_again_after_the_process_has_restarted(cluster: Cluster) -> None:
    first = await cluster.process()
    port = first.served.server.port
    await cluster.record_many(orders=3)
    sent = Sent()
    client = IntentClient.connect(first.target, tenant="acme", roles=["consumer"], actor=OWNER)
    async with client, running(client, NoteOrders(), sent) as runner:
        await sent.has(3)
        await first.crash()
        await cluster.record_many(orders=3)
        await cluster.process(port=port)
        recorded = {str(entry.event_id) for entry in await cluster.store.read_log(0, 100)}

        async def all_handled() -> bool:
            return {command.origin.causation_id for command in sent.commands} == recorded

        await until(all_handled)
        assert runner.figures.connected


async def test_two_runners_share_the_work(cluster: Cluster, process: Process) -> None:
    one, two = Sent(), Sent()
    async with (
        running(process.client(), NoteOrders(), one) as first,
        running(process.client(), NoteOrders(), two) as second,
    ):

        async def shared() -> bool:
            return first.figures.partitions == second.figures.partitions == 8

        await until(shared)
        await cluster.record_many(orders=40)

        async def done() -> bool:
            return len(one.commands) + len(two.commands) >= 40

        await until(done)
    assert one.commands
    assert two.commands
    assert len({command.origin.command_id for command in [*one.commands, *two.commands]}) == 40


async def test_a_runner_that_is_refused_raises(process: Process) -> None:
    runner = process.client(roles=["customer"]).consume(NoteOrders())
    with pytest.raises(PermissionDenied):
        await runner.run()


async def test_returning_commands_without_a_sender_fails_with_a_hint(
    cluster: Cluster, process: Process
) -> None:
    class Once(NoteOrders):
        attempts = 1

    await cluster.record("o-1")
    client = process.client()
    runner = client.consume(Once())
    task = asyncio.create_task(runner.run())

    async def is_parked() -> bool:
        events = (await client.consumers.parked()).parked
        return len(events) == 1 and "pass `send`" in events[0].error

    await until(is_parked)
    runner.stop()
    await task


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "intent.client"]


async def test_equal_failures_are_logged_once_and_counted(
    cluster: Cluster, process: Process, caplog: pytest.LogCaptureFixture
) -> None:
    class Refused(NoteOrders):
        attempts = 3

    def refuse(intended: IntendedCommand) -> None:
        raise Rejected("ACCOUNT_NOT_OPEN", f"there is no account for {intended.command}")

    for number in range(5):
        await cluster.record(f"o-{number}", OrderPlaced(customer_id=f"c-{number}"))
    sent = Sent()
    sent.answer = refuse
    with caplog.at_level("WARNING", "intent.client"):
        async with running(process.client(), Refused(), sent) as runner:

            async def all_refused_once() -> bool:
                return runner.figures.failures == 5

            await until(all_refused_once)
    first, more = warnings(caplog)
    assert "failed to handle orders.v1.OrderPlaced of Order/o-" in first
    assert more == (
        f"consumer {NAME} failed to handle orders.v1.OrderPlaced with ACCOUNT_NOT_OPEN: 4 more in 15 s"
    )


async def test_a_context_that_is_not_there_yet_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    tried = asyncio.Event()

    class Impatient(RetryPolicy):
        def wait(self, failures: int, error: CommandError) -> float:
            if failures == 5:
                tried.set()
            return 0.0

    client = IntentClient.connect("127.0.0.1:1", policy=Impatient())
    runner = client.consume(NoteOrders(), send=Sent())
    with caplog.at_level("INFO", "intent.client"):
        task = asyncio.create_task(runner.run())
        async with asyncio.timeout(TIMEOUT):
            await tried.wait()
            runner.stop()
            await task
    (line,) = warnings(caplog)
    assert line.startswith(f"consumer {NAME} is not connected, trying again: UNAVAILABLE: ")
    await client.close()


async def test_a_runner_that_is_stopped_while_the_context_does_not_answer_ends_in_good_order() -> None:
    connected = asyncio.Event()

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.set()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(mute, "127.0.0.1", 0) as server:
        target = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with IntentClient.connect(target) as client, asyncio.timeout(60):
            runner = client.consume(NoteOrders(), send=Sent())
            running = asyncio.create_task(runner.run())
            await connected.wait()
            runner.stop()
            await running
