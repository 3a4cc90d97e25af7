"""What holds for every event store; each adapter runs it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from intent.errors import InvalidCommand
from intent.origin import TraceContext
from intent.records import CommandKey, Snapshot, StreamKey
from intent.store import EventStore, LogFilter, StoredCommand
from intent.store.event_store import STREAM_PAGE, page_bytes

from .builders import ACME, GLOBEX, command, conflict, event, fill, key, positions, to, written


class AppendContract:
    """Writing."""

    async def test_an_empty_log_has_position_0_and_no_entries(self, store: EventStore) -> None:
        assert await store.position() == 0
        assert await store.read_log(0, 10) == []

    async def test_positions_and_versions_count_from_1_without_a_gap(self, store: EventStore) -> None:
        first = await store.append([to(key("a"), 0, command(2), command(1)), to(key("b"), 0, command(3))])
        second = await store.append([to(key("a"), 3, command(2))])

        assert written(first, 0) == [2, 3]
        assert written(first, 1) == [6]
        assert first.position == 6
        assert written(second) == [8]
        log = await store.read_log(0, 100)
        assert positions(log) == list(range(1, 9))
        versions = [(entry.aggregate_id, entry.version) for entry in log]
        assert versions == [("a", 1), ("a", 2), ("a", 3), ("b", 1), ("b", 2), ("b", 3), ("a", 4), ("a", 5)]

    async def test_an_entry_has_everything_that_was_written(self, store: EventStore) -> None:
        fact = event(b"\x00\xff", "orders.v1.OrderConfirmed", 7)
        cause = command(
            [fact],
            correlation_id="corr",
            causation_id="cause",
            actor="ann",
            trace=TraceContext("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "a=1,b=ü"),
            workflow_id="batch/orders/1",
        )
        await store.append([to(key("a"), 0, cause)])

        (entry,) = await store.read_log(0, 1)

        assert (entry.tenant, entry.aggregate_type, entry.aggregate_id, entry.version) == (*key("a"), 1)
        assert (entry.event_id, entry.type, entry.schema_version, entry.data) == (
            fact.event_id,
            fact.type,
            7,
            b"\x00\xff",
        )
        assert (entry.command_id, entry.correlation_id, entry.causation_id, entry.actor) == (
            cause.origin.command_id,
            "corr",
            "cause",
            "ann",
        )
        assert (entry.traceparent, entry.tracestate) == cause.origin.trace
        assert abs(entry.recorded_at - datetime.now(UTC)) < timedelta(minutes=5)

    async def test_a_wrong_expected_version_writes_nothing_of_that_stream_only(
        self, store: EventStore
    ) -> None:
        await store.append([to(key("a"))])

        refused = command(1)
        result = await store.append([to(key("a"), 0, refused), to(key("b")), to(key("c"), 4)])

        assert conflict(result, 0).version == 1
        assert written(result, 1) == [2]
        assert conflict(result, 2).version == 0
        assert await store.position() == 2
        assert await store.command(CommandKey(ACME, refused.origin.command_id)) is None

    async def test_a_known_command_id_writes_nothing_of_that_stream_and_returns_what_is_stored(
        self, store: EventStore
    ) -> None:
        first = command(2, workflow_id="batch/1")
        await store.append([to(key("a"), 0, first)])

        again, beside = command(1, known_as=first.origin.command_id), command(1)
        result = await store.append([to(key("a"), 2, beside, again), to(key("b"))])

        refused = conflict(result, 0)
        stored = StoredCommand(first.origin.command_id, first.fingerprint, first.outcome, 2, "batch/1")
        assert refused.version == 2
        assert refused.duplicates == {first.origin.command_id: stored}
        assert written(result, 1) == [3]
        assert await store.command(CommandKey(ACME, beside.origin.command_id)) is None

    async def test_a_command_id_counts_once_per_tenant_for_all_aggregates(self, store: EventStore) -> None:
        twice = uuid4()
        await store.append([to(key("a"), 0, command(1, known_as=twice))])

        result = await store.append(
            [to(key("b"), 0, command(1, known_as=twice)), to(key("a", GLOBEX), 0, command(1, known_as=twice))]
        )

        assert set(conflict(result, 0).duplicates) == {twice}
        assert written(result, 1) == [2]

    async def test_a_command_without_events_is_kept_at_the_position_of_the_log(
        self, store: EventStore
    ) -> None:
        await store.append([to(key("a"))])
        rejected = command(0)

        result = await store.append([to(key("a"), 1, command(2), rejected), to(key("b"), 0, command(0))])

        assert written(result, 0) == [3, 3]
        assert written(result, 1) == [3]
        kept = await store.command(CommandKey(ACME, rejected.origin.command_id))
        assert kept is not None
        assert (kept.position, kept.outcome) == (3, rejected.outcome)
        loaded = await store.load([key("b")], [])
        assert loaded.streams[key("b")].version == 0

    async def test_commands_without_events_check_the_version_too(self, store: EventStore) -> None:
        await store.append([to(key("a"))])
        result = await store.append([to(key("a"), 0, command(0)), to(key("b"), 1, command(0))])
        assert conflict(result, 0).version == 1
        assert conflict(result, 1).version == 0

    async def test_an_empty_batch_changes_nothing(self, store: EventStore) -> None:
        await store.append([to(key("a"))])
        result = await store.append([])
        assert (list(result.outcomes), result.position) == ([], 1)

    async def test_a_snapshot_of_a_stream_that_conflicts_is_not_kept(self, store: EventStore) -> None:
        await store.append([to(key("a"), 0, command(2), snapshot=Snapshot(2, 1, b"two"))])
        await store.append([to(key("a"), 1, command(2), snapshot=Snapshot(3, 1, b"three"))])
        loaded = await store.load([key("a")], [])
        assert loaded.streams[key("a")].snapshot == Snapshot(2, 1, b"two")

    @pytest.mark.parametrize("field", ["aggregate_id", "tenant", "actor", "correlation_id", "type"])
    @pytest.mark.parametrize("text", ["a\x00b", "\ud800"])
    async def test_text_that_cannot_be_kept_is_refused_clearly_and_writes_nothing(
        self, store: EventStore, field: str, text: str
    ) -> None:
        stream = key("a")._replace(**{field: text}) if field in key()._fields else key("a")
        fact = event(kind=text) if field == "type" else event()
        more: Any = {field: text} if field in ("actor", "correlation_id") else {}

        with pytest.raises(InvalidCommand):
            await store.append([to(key("good")), to(stream, 0, command([fact], **more))])

        assert await store.position() == 0
        assert written(await store.append([to(key("good"))])) == [1]


class ReadContract:
    """Reading."""

    async def test_loading_returns_every_stream_asked_for_and_the_commands_that_exist(
        self, store: EventStore
    ) -> None:
        one, two = command([event(b"1"), event(b"2", schema_version=3)]), command(0)
        await store.append([to(key("a"), 0, one, two), to(key("a", GLOBEX))])

        unknown = CommandKey(ACME, uuid4())
        elsewhere = CommandKey(GLOBEX, one.origin.command_id)
        own = [CommandKey(ACME, write.origin.command_id) for write in (one, two)]
        asked = [*own, unknown, elsewhere]
        loaded = await store.load([key("a"), key("none")], asked)

        assert set(loaded.streams) == {key("a"), key("none")}
        assert loaded.streams[key("a")].version == 2
        events = loaded.streams[key("a")].events
        assert [(e.version, e.schema_version, e.data) for e in events] == [(1, 1, b"1"), (2, 3, b"2")]
        assert (loaded.streams[key("none")].version, loaded.streams[key("none")].events) == (0, [])
        assert set(loaded.commands) == set(asked[:2])
        assert loaded.commands[asked[0]].outcome == one.outcome

    async def test_loading_nothing_returns_nothing(self, store: EventStore) -> None:
        loaded = await store.load([], [])
        assert (loaded.streams, loaded.commands) == ({}, {})

    async def test_loading_many_streams_returns_each_its_own_events(self, store: EventStore) -> None:
        keys = [key(f"o-{n}") for n in range(300)]
        await store.append([to(stream, 0, command(1 + n % 3)) for n, stream in enumerate(keys)])
        loaded = await store.load(keys, [])
        assert [len(loaded.streams[stream].events) for stream in keys] == [1 + n % 3 for n in range(300)]
        assert all(loaded.streams[stream].version == 1 + n % 3 for n, stream in enumerate(keys))

    async def test_loading_starts_from_the_newest_snapshot(self, store: EventStore) -> None:
        await store.append([to(key("a"), 0, command(3), snapshot=Snapshot(2, 1, b"two"))])
        await store.append([to(key("a"), 3, command(3), snapshot=Snapshot(5, 2, b"five"))])

        stream = (await store.load([key("a")], [])).streams[key("a")]

        assert stream.snapshot == Snapshot(5, 2, b"five")
        assert [e.version for e in stream.events] == [6]
        assert (stream.version, stream.complete) == (6, True)

    async def test_of_a_long_stream_a_page_is_loaded_with_its_version(self, store: EventStore) -> None:
        await store.append([to(key("short"), 0, command(3))])
        for n in range(3):
            await store.append([to(key("long"), 400 * n, command(400))])

        async def loaded(of: StreamKey) -> tuple[int, list[int], bool]:
            stream = (await store.load([of, key("short")], [])).streams[of]
            return stream.version, [e.version for e in stream.events], stream.complete

        assert await loaded(key("long")) == (1200, list(range(1, STREAM_PAGE + 1)), False)
        await store.keep_snapshot(key("long"), Snapshot(700, 1, b"700"))
        assert await loaded(key("long")) == (1200, list(range(701, 1201)), True)
        await store.keep_snapshot(key("long"), Snapshot(699, 1, b"699"))
        assert await loaded(key("long")) == (1200, list(range(701, 1201)), True)
        assert await loaded(key("short")) == (3, [1, 2, 3], True)

    async def test_a_page_of_a_stream_is_bounded_in_bytes(self, store: EventStore) -> None:
        large = [replace(event(), data=bytes(200_000)) for _ in range(40)]
        await store.append([to(key("large"), 0, replace(command(0), events=large))])
        stream = (await store.load([key("large")], [])).streams[key("large")]
        assert stream.version == 40
        assert not stream.complete
        size = sum(len(e.data) for e in stream.events)
        assert page_bytes(1) <= size <= page_bytes(1) + 200_000
        many = await store.load([key("large"), *(key(f"none-{n}") for n in range(200))], [])
        assert len(many.streams[key("large")].events) == 2

    async def test_a_large_event_among_many_streams_is_loaded_as_any_other(self, store: EventStore) -> None:
        sizes = {"small": 10, "large": 50_000, "other": 20}
        for name, size in sizes.items():
            events = [replace(event(), data=bytes(of)) for of in (size, 5)]
            await store.append([to(key(name), 0, replace(command(0), events=events))])
        # The second time the store knows that there are large ones.
        for _ in range(2):
            found = (await store.load([key(name) for name in sizes], [])).streams
            assert {name: [len(e.data) for e in found[key(name)].events] for name in sizes} == {
                name: [size, 5] for name, size in sizes.items()
            }
            assert all((stream.version, stream.complete) == (2, True) for stream in found.values())

    async def test_a_snapshot_from_reading_gives_way_to_one_of_a_later_state_or_version(
        self, store: EventStore
    ) -> None:
        await store.append([to(key("a"), 0, command(9), snapshot=Snapshot(5, 2, b"appended"))])
        for snapshot, kept in [
            (Snapshot(4, 2, b"earlier"), b"appended"),
            (Snapshot(8, 1, b"of a former state"), b"appended"),
            (Snapshot(7, 2, b"later"), b"later"),
            (Snapshot(3, 3, b"of a later state"), b"of a later state"),
        ]:
            await store.keep_snapshot(key("a"), snapshot)
            stream = (await store.load([key("a")], [])).streams[key("a")]
            assert stream.snapshot is not None
            assert stream.snapshot.state == kept

    async def test_the_log_is_read_in_pages_without_gap_or_overlap(self, store: EventStore) -> None:
        for n in range(7):
            await store.append([to(key(f"o-{n}"), 0, command(3))])
        read: list[int] = []
        while page := await store.read_log(read[-1] if read else 0, 4):
            assert len(page) <= 4
            read += positions(page)
        assert read == list(range(1, 22))
        assert await store.read_log(1000, 4) == []

    async def test_the_log_is_narrowed_by_each_part_of_a_filter(self, store: EventStore) -> None:
        other = event(kind="orders.v1.OrderConfirmed")
        await store.append(
            [
                to(key("a"), 0, command([event(), other], correlation_id="c-1")),
                to(key("b"), 0, command(1, correlation_id="c-2")),
                to(key("a", GLOBEX), 0, command(1, correlation_id="c-1")),
                to(key("a", kind="Basket"), 0, command(1)),
            ]
        )

        async def read(limit: int = 10, after: int = 0, **only: object) -> list[int]:
            return positions(await store.read_log(after, limit, LogFilter(**only)))  # type: ignore[arg-type]

        assert await read() == [1, 2, 3, 4, 5]
        assert await read(tenant=ACME) == [1, 2, 3, 5]
        assert await read(tenant=ACME, limit=2) == [1, 2]
        assert await read(tenant=ACME, after=2) == [3, 5]
        assert await read(types=["orders.v1.OrderConfirmed"]) == [2]
        assert await read(types=["orders.v1.OrderConfirmed", "orders.v1.OrderPlaced"]) == [1, 2, 3, 4, 5]
        assert await read(aggregate_type="Basket") == [5]
        assert await read(tenant=ACME, aggregate_type="Order", aggregate_id="a") == [1, 2]
        assert await read(aggregate_id="a") == [1, 2, 4, 5]
        assert await read(correlation_id="c-1") == [1, 2, 4]
        assert await read(tenant=ACME, correlation_id="c-1") == [1, 2]
        assert await read(tenant=ACME, correlation_id="c-1", types=["orders.v1.OrderConfirmed"]) == [2]
        assert await read(tenant="nobody") == []

    async def test_entries_are_read_by_their_positions(self, store: EventStore) -> None:
        await fill(store, 5)
        assert positions(await store.read_positions([4, 2, 2, 99, 0])) == [2, 4]
        assert await store.read_positions([]) == []

    async def test_a_stream_is_read_in_pages_by_version(self, store: EventStore) -> None:
        await store.append([to(key("a"), 0, command(2)), to(key("b"), 0, command(4))])
        await store.append([to(key("a"), 2, command(3))])
        page = await store.read_stream(key("a"), 1, 3)
        assert [(entry.version, entry.position) for entry in page] == [(2, 2), (3, 7), (4, 8)]
        assert [entry.version for entry in await store.read_stream(key("a"), 4)] == [5]
        assert await store.read_stream(key("none")) == []

    @pytest.mark.parametrize(
        ("most_bytes", "count"), [(1, 1), (100, 1), (101, 2), (250, 3), (10_000, 6), (None, 6)]
    )
    @pytest.mark.parametrize(
        "where",
        [None, LogFilter(tenant=ACME), LogFilter(tenant=ACME, aggregate_type="Order", aggregate_id="a")],
    )
    async def test_a_page_ends_with_the_entry_that_reaches_its_bytes(
        self, store: EventStore, most_bytes: int | None, count: int, where: LogFilter | None
    ) -> None:
        await store.append([to(key("a"), 0, command([event(bytes(100)) for _ in range(6)]))])
        assert positions(await store.read_log(0, 10, where, most_bytes=most_bytes)) == list(
            range(1, count + 1)
        )
        stream = await store.read_stream(key("a"), 0, 10, most_bytes=most_bytes)
        assert [entry.version for entry in stream] == list(range(1, count + 1))
        assert len(await store.read_log(0, 2, where, most_bytes=most_bytes)) == min(2, count)

    async def test_text_that_no_store_keeps_is_refused_when_reading(self, store: EventStore) -> None:
        for text in ("a\x00b", "\ud800"):
            with pytest.raises(InvalidCommand):
                await store.load([key(text)], [])
            with pytest.raises(InvalidCommand):
                await store.read_log(0, 10, LogFilter(tenant=ACME, correlation_id=text))
            with pytest.raises(InvalidCommand):
                await store.read_stream(key(text))


class WaitContract:
    """Waiting."""

    async def test_waiting_ends_at_once_when_the_log_is_beyond(self, store: EventStore) -> None:
        await fill(store, 2)
        assert await store.wait_beyond(0, 30.0) == 2

    async def test_waiting_ends_when_the_log_grows(self, store: EventStore) -> None:
        async with asyncio.timeout(60):
            waiting = asyncio.create_task(store.wait_beyond(0, 10.0))
            await asyncio.sleep(0)
            await fill(store, 1)
            assert await waiting == 1

    async def test_waiting_without_success_returns_the_position_reached(self, store: EventStore) -> None:
        await fill(store, 1)
        assert await store.wait_beyond(1, 0.02) == 1


class StoreContract(AppendContract, ReadContract, WaitContract):
    """Writing, reading and waiting."""
