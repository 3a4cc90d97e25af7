"""What every event store must do; each adapter's tests inherit it and give it a `store`."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from intent.records import CommandKey, Snapshot, StoredEvent
from intent.store.port import Appended, Conflict, EventStore, LoadedStream, LogFilter, StreamAppend

from .batches import FINGERPRINT, command, event, one, positions, stream, versions

SNAPSHOT = Snapshot(2, 1, b"state")


class AppendContract:
    """Appending: positions, versions, duplicates, conflicts."""

    async def test_a_new_log_is_empty(self, store: EventStore) -> None:
        assert await store.position() == 0
        assert await store.read_log(0, 10) == []

    async def test_events_get_the_next_positions_and_versions(self, store: EventStore) -> None:
        first = await store.append([one(stream(), events=2)])
        second = await store.append([one(stream(), 2)])
        assert (first.position, second.position) == (2, 3)
        assert second.outcomes == [Appended([3])]
        entries = await store.read_log(0, 10)
        assert positions(entries) == versions(entries) == [1, 2, 3]

    async def test_an_entry_keeps_everything_that_was_written(self, store: EventStore) -> None:
        recorded = event(b"\x00\xff", "orders.v1.OrderPlaced", 7)
        write = command(recorded)
        key = stream("größe/1", "acme")
        await store.append([StreamAppend(key, 0, [write])])
        (entry,) = await store.read_log(0, 10)
        assert (entry.tenant, entry.aggregate_type, entry.aggregate_id) == key
        assert (entry.event_id, entry.type, entry.schema_version, entry.data) == (
            recorded.event_id,
            recorded.type,
            7,
            b"\x00\xff",
        )
        assert (entry.command_id, entry.correlation_id, entry.causation_id, entry.actor, entry.traceparent) == (
            write.command_id,
            "story",
            "cause",
            "ann",
            "00-trace-span-01",
        )
        assert abs(datetime.now(UTC) - entry.recorded_at) < timedelta(minutes=5)

    async def test_a_batch_keeps_the_order_of_its_streams_commands_and_events(self, store: EventStore) -> None:
        a, b = stream("a"), stream("b", "other")
        events = [event(str(n).encode()) for n in range(5)]
        result = await store.append(
            [
                StreamAppend(a, 0, [command(events[0], events[1]), command(), command(events[2])]),
                StreamAppend(b, 0, [command(events[3]), command(events[4])]),
            ]
        )
        assert result.outcomes == [Appended([2, 2, 3]), Appended([4, 5])]
        assert result.position == 5
        entries = await store.read_log(0, 10)
        assert [entry.data for entry in entries] == [e.data for e in events]
        assert versions(entries) == [1, 2, 3, 1, 2]

    async def test_an_empty_batch_changes_nothing(self, store: EventStore) -> None:
        await store.append([one(stream())])
        result = await store.append([])
        assert (result.outcomes, result.position) == ([], 1)

    async def test_a_stream_at_another_version_conflicts(self, store: EventStore) -> None:
        await store.append([one(stream(), events=3)])
        for expected in (0, 2, 4):
            result = await store.append([one(stream(), expected)])
            assert result.outcomes == [Conflict(3)]
        assert await store.position() == 3

    async def test_a_stream_that_does_not_exist_conflicts(self, store: EventStore) -> None:
        result = await store.append([one(stream(), 1)])
        assert result.outcomes == [Conflict(0)]
        assert await store.position() == 0

    async def test_a_rejection_checks_the_version_too(self, store: EventStore) -> None:
        await store.append([one(stream())])
        late = StreamAppend(stream(), 0, [command()])
        assert (await store.append([late])).outcomes == [Conflict(1)]
        assert await store.command(CommandKey("acme", late.commands[0].command_id)) is None

    async def test_a_rejection_is_kept_without_events(self, store: EventStore) -> None:
        await store.append([one(stream("other"), events=2)])
        rejected = command()
        result = await store.append([StreamAppend(stream(), 0, [rejected])])
        assert (result.outcomes, result.position) == ([Appended([2])], 2)
        stored = await store.command(CommandKey("acme", rejected.command_id))
        assert stored is not None
        assert (stored.position, stored.outcome) == (2, b"outcome")

    async def test_one_stream_conflicts_and_the_others_are_written_without_a_hole(
        self, store: EventStore
    ) -> None:
        await store.append([one(stream("b"))])
        kept = Snapshot(1, 1, b"not kept")
        result = await store.append(
            [
                one(stream("a"), events=2),
                one(stream("b"), 7, events=3, snapshot=kept),
                one(stream("c"), events=2),
                one(stream("d"), 1),
                one(stream("e")),
            ]
        )
        assert result.outcomes == [Appended([3]), Conflict(1), Appended([5]), Conflict(0), Appended([6])]
        assert result.position == 6
        entries = await store.read_log(1, 10)
        assert positions(entries) == [2, 3, 4, 5, 6]
        assert [entry.aggregate_id for entry in entries] == ["a", "a", "c", "c", "e"]
        assert (await store.load([stream("b")], [])).streams[stream("b")].snapshot is None
        assert await store.position() == 6

    async def test_a_batch_in_which_all_conflict_leaves_no_trace(self, store: EventStore) -> None:
        result = await store.append([one(stream("a"), 1, events=4), one(stream("b"), 2)])
        assert result.outcomes == [Conflict(0), Conflict(0)]
        assert result.position == 0
        assert positions((await store.append([one(stream("c"))])).outcomes and await store.read_log(0, 9)) == [1]

    async def test_a_command_is_written_once(self, store: EventStore) -> None:
        first = one(stream(), events=2)
        write = first.commands[0]
        await store.append([first])
        await store.append([one(stream("other"))])
        again = await store.append([StreamAppend(stream(), 2, [write])])
        (conflict,) = again.outcomes
        assert isinstance(conflict, Conflict)
        assert conflict.version == 2
        stored = conflict.duplicates[write.command_id]
        assert (stored.command_id, stored.fingerprint, stored.outcome, stored.position, stored.workflow_id) == (
            write.command_id,
            FINGERPRINT,
            b"outcome",
            2,
            "workflow",
        )
        assert again.position == await store.position() == 3

    async def test_a_duplicate_stops_its_stream_only(self, store: EventStore) -> None:
        first = one(stream("a"))
        await store.append([first])
        fresh = command(event())
        result = await store.append(
            [StreamAppend(stream("a"), 1, [fresh, first.commands[0]]), one(stream("b"))],
        )
        assert isinstance(result.outcomes[0], Conflict)
        assert list(result.outcomes[0].duplicates) == [first.commands[0].command_id]
        assert result.outcomes[1] == Appended([2])
        assert await store.command(CommandKey("acme", fresh.command_id)) is None

    async def test_a_duplicate_on_another_stream_is_found(self, store: EventStore) -> None:
        first = one(stream("a"))
        await store.append([first])
        (outcome,) = (await store.append([StreamAppend(stream("b"), 0, first.commands)])).outcomes
        assert isinstance(outcome, Conflict)
        assert outcome.version == 0
        assert list(outcome.duplicates) == [first.commands[0].command_id]

    async def test_a_command_id_belongs_to_one_tenant(self, store: EventStore) -> None:
        id_ = uuid4()
        for tenant in ("acme", "other"):
            result = await store.append([one(stream(tenant=tenant), command_id=id_)])
            assert isinstance(result.outcomes[0], Appended)
        assert await store.position() == 2

    async def test_the_same_aggregate_id_is_another_stream_for_another_tenant_or_type(
        self, store: EventStore
    ) -> None:
        keys = [stream("x"), stream("x", "other"), stream("x", kind="Basket")]
        result = await store.append([one(key) for key in keys])
        assert result.outcomes == [Appended([1]), Appended([2]), Appended([3])]

    @pytest.mark.parametrize("repeated", ["stream", "command"])
    async def test_a_batch_names_each_stream_and_command_once(self, store: EventStore, repeated: str) -> None:
        id_ = uuid4()
        batch = (
            [one(stream()), one(stream(), 1)]
            if repeated == "stream"
            else [one(stream("a"), command_id=id_), one(stream("b"), command_id=id_)]
        )
        with pytest.raises(ValueError, match=f"{repeated}.* twice"):
            await store.append(batch)
        assert await store.position() == 0

    async def test_a_large_batch_of_many_tenants(self, store: EventStore) -> None:
        batch = [one(stream(f"o-{n}", f"t-{n % 7}"), events=1 + n % 3) for n in range(300)]
        result = await store.append(batch)
        assert all(isinstance(outcome, Appended) for outcome in result.outcomes)
        entries = await store.read_log(0, 1000)
        assert positions(entries) == list(range(1, result.position + 1))

    async def test_the_same_command_a_hundred_times_at_once_has_one_effect(self, store: EventStore) -> None:
        id_ = uuid4()
        results = await asyncio.gather(*(store.append([one(stream(), command_id=id_)]) for _ in range(100)))
        outcomes = [result.outcomes[0] for result in results]
        assert len([outcome for outcome in outcomes if isinstance(outcome, Appended)]) == 1
        conflicts = [outcome for outcome in outcomes if isinstance(outcome, Conflict)]
        assert {(c.version, c.duplicates[id_].position) for c in conflicts} == {(1, 1)}
        assert await store.position() == 1

    async def test_of_many_at_once_on_one_stream_one_wins(self, store: EventStore) -> None:
        results = await asyncio.gather(*(store.append([one(stream(), events=2)]) for _ in range(20)))
        outcomes = [result.outcomes[0] for result in results]
        assert len([outcome for outcome in outcomes if isinstance(outcome, Appended)]) == 1
        assert [outcome for outcome in outcomes if outcome == Conflict(2)] == [Conflict(2)] * 19
        assert versions(await store.read_stream(stream())) == [1, 2]


class ReadContract:
    """Loading and reading."""

    async def test_a_stream_that_does_not_exist(self, store: EventStore) -> None:
        loaded = await store.load([stream()], [CommandKey("acme", uuid4())])
        assert loaded.streams == {stream(): LoadedStream(0, None, [])}
        assert loaded.commands == {}
        assert await store.load_full(stream()) == LoadedStream(0, None, [])
        assert await store.read_stream(stream()) == []

    async def test_a_stream_without_a_snapshot_has_all_its_events(self, store: EventStore) -> None:
        await store.append([one(stream(), events=3)])
        loaded = (await store.load([stream()], [])).streams[stream()]
        assert (loaded.version, loaded.snapshot) == (3, None)
        assert list(loaded.events) == [
            StoredEvent(n, "orders.v1.OrderPlaced", 1, f"o-1/{n}".encode()) for n in (1, 2, 3)
        ]

    async def test_a_snapshot_replaces_the_events_before_it(self, store: EventStore) -> None:
        await store.append([one(stream(), events=2, snapshot=SNAPSHOT)])
        at_once = (await store.load([stream()], [])).streams[stream()]
        assert at_once == LoadedStream(2, SNAPSHOT, [])
        await store.append([one(stream(), 2, events=2)])
        later = (await store.load([stream()], [])).streams[stream()]
        assert (later.version, later.snapshot) == (4, SNAPSHOT)
        assert [kept.version for kept in later.events] == [3, 4]

    async def test_the_newest_snapshot_counts(self, store: EventStore) -> None:
        newest = Snapshot(4, 2, b"newer")
        await store.append([one(stream(), events=2, snapshot=SNAPSHOT)])
        await store.append([one(stream(), 2, events=2, snapshot=newest)])
        assert (await store.load([stream()], [])).streams[stream()] == LoadedStream(4, newest, [])

    async def test_a_full_load_passes_the_snapshot_over(self, store: EventStore) -> None:
        await store.append([one(stream(), events=3, snapshot=Snapshot(3, 1, b"state"))])
        full = await store.load_full(stream())
        assert (full.version, full.snapshot) == (3, None)
        assert [kept.version for kept in full.events] == [1, 2, 3]

    async def test_one_load_reads_many_streams_and_commands(self, store: EventStore) -> None:
        batch = [one(stream(f"o-{n}", f"t-{n % 3}"), events=1 + n % 2) for n in range(60)]
        result = await store.append(batch)
        absent = stream("absent")
        commands = [CommandKey(s.key.tenant, s.commands[0].command_id) for s in batch]
        loaded = await store.load(
            [absent, *(s.key for s in batch)], [CommandKey("t-0", uuid4()), *reversed(commands)]
        )
        assert loaded.streams[absent].version == 0
        for n, appended in enumerate(batch):
            found = loaded.streams[appended.key]
            assert found.version == len(found.events) == 1 + n % 2
            assert found.events[0].data == f"o-{n}/1".encode()
        assert set(loaded.commands) == set(commands)
        assert loaded.commands[commands[-1]].position == result.position

    async def test_a_load_finds_no_command_of_another_tenant(self, store: EventStore) -> None:
        appended = one(stream())
        await store.append([appended])
        id_ = appended.commands[0].command_id
        assert (await store.load([], [CommandKey("other", id_)])).commands == {}
        assert await store.command(CommandKey("other", id_)) is None

    async def test_the_log_is_read_in_pages(self, store: EventStore) -> None:
        await store.append([one(stream(f"o-{n}")) for n in range(25)])
        pages = [positions(await store.read_log(after, 10)) for after in (0, 10, 20, 25, 99)]
        assert pages == [list(range(1, 11)), list(range(11, 21)), list(range(21, 26)), [], []]

    async def test_positions_are_read_in_order(self, store: EventStore) -> None:
        await store.append([one(stream(f"o-{n}")) for n in range(9)])
        assert positions(await store.read_positions([7, 2, 5, 2, 99, 0])) == [2, 5, 7]
        assert await store.read_positions([]) == []

    async def test_a_stream_is_read_by_version(self, store: EventStore) -> None:
        await store.append([one(stream(), events=5), one(stream("o-1", "other"), events=2)])
        assert versions(await store.read_stream(stream())) == [1, 2, 3, 4, 5]
        assert versions(await store.read_stream(stream(), 2, 2)) == [3, 4]
        assert await store.read_stream(stream(), 5) == []

    @pytest.mark.parametrize(
        ("where", "found"),
        [
            (LogFilter(), [1, 2, 3, 4, 5, 6]),
            (LogFilter(tenant="acme"), [1, 2, 3, 4]),
            (LogFilter(tenant="nobody"), []),
            (LogFilter(types=("v1.Paid",)), [2, 6]),
            (LogFilter(types=("v1.Paid", "v1.Placed")), [1, 2, 3, 5, 6]),
            (LogFilter(tenant="acme", types=("v1.Paid",)), [2]),
            (LogFilter(aggregate_type="Basket"), [4]),
            (LogFilter(aggregate_id="a"), [1, 2, 5, 6]),
            (LogFilter(tenant="acme", aggregate_id="a"), [1, 2]),
            (LogFilter(tenant="acme", aggregate_type="Order"), [1, 2, 3]),
            (LogFilter(tenant="acme", aggregate_type="Order", aggregate_id="a"), [1, 2]),
            (LogFilter(tenant="other", aggregate_type="Order", aggregate_id="a", types=("v1.Paid",)), [6]),
            (LogFilter(correlation_id="first"), [1, 2, 5, 6]),
            (LogFilter(tenant="acme", correlation_id="first"), [1, 2]),
            (LogFilter(tenant="other", correlation_id="first", types=("v1.Placed",)), [5]),
            (LogFilter(tenant="acme", correlation_id="second", aggregate_type="Basket"), [4]),
            (
                LogFilter(tenant="acme", aggregate_type="Order", aggregate_id="b", correlation_id="second"),
                [3],
            ),
        ],
    )
    async def test_a_filter_narrows_what_is_read(
        self, store: EventStore, where: LogFilter, found: list[int]
    ) -> None:
        placed, paid = (lambda: event(type_="v1.Placed")), (lambda: event(type_="v1.Paid"))
        await store.append(
            [
                StreamAppend(stream("a"), 0, [command(placed(), paid(), correlation="first")]),
                StreamAppend(stream("b"), 0, [command(placed(), correlation="second")]),
                StreamAppend(
                    stream("c", kind="Basket"), 0, [command(event(type_="v1.Filled"), correlation="second")]
                ),
                StreamAppend(stream("a", "other"), 0, [command(placed(), paid(), correlation="first")]),
            ]
        )
        assert positions(await store.read_log(0, 100, where)) == found
        assert positions(await store.read_log(2, 100, where)) == [p for p in found if p > 2]
        assert positions(await store.read_log(0, 1, where)) == found[:1]


class WaitContract:
    """Waiting for the log to grow."""

    async def test_it_answers_at_once_when_the_log_is_beyond(self, store: EventStore) -> None:
        await store.append([one(stream(), events=2)])
        assert await store.wait_beyond(1, timeout=30) == 2

    async def test_it_answers_the_position_known_when_time_is_over(self, store: EventStore) -> None:
        await store.append([one(stream(), events=2)])
        assert await store.wait_beyond(2, timeout=0.01) == 2
        assert await store.wait_beyond(5, timeout=0) == 2

    async def test_an_append_wakes_everyone_who_waits(self, store: EventStore) -> None:
        waiting = [asyncio.create_task(store.wait_beyond(0, timeout=30)) for _ in range(5)]
        await asyncio.sleep(0)
        await store.append([one(stream())])
        assert await asyncio.gather(*waiting) == [1] * 5

    async def test_a_cancelled_wait_leaves_the_others(self, store: EventStore) -> None:
        gone = asyncio.create_task(store.wait_beyond(0, timeout=30))
        waiting = asyncio.create_task(store.wait_beyond(0, timeout=30))
        await asyncio.sleep(0)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        await store.append([one(stream())])
        assert await waiting == 1


class StoreContract(AppendContract, ReadContract, WaitContract):
    """All that every event store must do."""


__all__ = ["StoreContract"]
