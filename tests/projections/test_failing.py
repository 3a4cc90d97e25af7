"""A projection that raises: visible, harmless to others, recovering by itself or by a skip."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from intent.errors import InvalidCommand, NotFound
from intent.ids import new_id
from intent.origin import Origin
from intent.projections.database import ProjectionDatabase
from intent.records import StreamKey
from intent.store import CommandWrite, EventWrite, StreamAppend
from intent_contracts.orders.v1 import OrderSummary

from ..support.command_path import eventually
from ..support.releases import reading
from .cluster import ACME, Cluster, bound, changed, placed, status, until_at, until_failing
from .projection_examples import Fragile, Unprintable

NAME = "OrderSummaries"


def fragile(*refused: str) -> type[Fragile]:
    """Return a projection for one test, which fails on these customers and lines."""
    return type("Fragile", (Fragile,), {"name": NAME, "refused": set(refused)})


async def test_other_projections_continue_and_the_failure_shows(cluster: Cluster) -> None:
    projections = await cluster.process(bound(fragile("bad")))
    position = await cluster.record_many({"o-1": [placed("good")], "o-2": [placed("bad")], "o-3": [placed()]})
    await until_at(projections, position, "OrderViews")

    failing = await until_failing(projections, NAME, attempts=2)
    assert failing.last_error == "ZeroDivisionError: cannot take bad"
    assert (failing.position, failing.failing_position, failing.lag) == (1, 2, 2)
    assert failing.HasField("retry_at")
    assert projections.stalled(0) == "", "a failing event is no reason to restart the process"
    (counters,) = (c for c in projections.counters() if c.name == NAME)
    assert (counters.failing, counters.lag) == (True, 2)
    assert counters.failures >= 2


async def test_everything_before_the_failing_event_is_applied_and_nothing_of_it(cluster: Cluster) -> None:
    projections = await cluster.process(bound(fragile("l-bad")))
    await cluster.record("o-1", placed(), changed("l-1"), changed("l-bad"), changed("l-2"))
    await until_failing(projections, NAME)

    assert await cluster.summary("o-1") == OrderSummary(order_id="o-1", customer_id="ann", line_count=101)


async def test_nobody_waits_for_a_projection_that_fails(cluster: Cluster) -> None:
    projections = await cluster.process(bound(fragile("bad")))
    await cluster.record("o-1", placed("bad"))
    await until_failing(projections, NAME, attempts=4)

    position = await cluster.record("o-2", placed())
    assert await projections.reach(position, 3_600) == [NAME]


async def test_it_recovers_by_itself_once_the_code_is_fixed(cluster: Cluster) -> None:
    projection = fragile("bad")
    projections = await cluster.process(bound(projection))
    position = await cluster.record_many({"o-1": [placed("bad")], "o-2": [placed()]})
    await until_failing(projections, NAME)

    projection.refused.clear()
    await until_at(projections, position)

    recovered = await status(projections, NAME)
    assert (recovered.last_error, recovered.attempts, recovered.failing_position) == ("", 0, 0)
    assert recovered.lag == 0
    assert not recovered.HasField("retry_at")
    assert await cluster.summary("o-1") == OrderSummary(order_id="o-1", customer_id="bad", line_count=1)


async def test_a_deployment_of_fixed_code_does_not_wait_for_the_next_attempt(cluster: Cluster) -> None:
    broken = await cluster.process(bound(fragile("bad")))
    position = await cluster.record("o-1", placed("bad"))
    await until_failing(broken, NAME)
    await broken.stop()
    await cluster.sql("update projection_generations set retry_at = now() + interval '1 hour'")

    fixed = await cluster.process(bound(fragile()))
    await until_at(fixed, position)


async def test_a_skipped_event_is_not_applied_and_the_skip_is_recorded(cluster: Cluster) -> None:
    projections = await cluster.process(bound(fragile("bad", "l-bad")))
    position = await cluster.record_many({"o-1": [placed("bad"), changed()], "o-2": [placed()]})
    await until_failing(projections, NAME, attempts=3)

    after = await projections.skip(NAME, 1, "a test order", "user:ops")

    (skipped,) = after.skipped
    assert (skipped.position, skipped.reason, skipped.actor) == (1, "a test order", "user:ops")
    assert skipped.HasField("skipped_at")
    assert after.last_error == ""
    await until_at(projections, position)
    assert await cluster.summary("o-1") == OrderSummary(order_id="o-1", line_count=100)
    assert (await cluster.view("o-1")) is not None, "the skip concerns one projection only"


async def test_another_process_notices_a_skip(cluster: Cluster) -> None:
    context = bound(fragile("bad"))
    one, other = [await cluster.process(context, own_store=True) for _ in range(2)]
    position = await cluster.record_many({"o-1": [placed("bad")], "o-2": [placed()]})
    await until_failing(one, NAME, attempts=2)

    await other.skip(NAME, 1, "a test order", "user:ops")

    await until_at(one, position)
    await until_at(other, position)


async def test_only_with_force_is_an_event_skipped_before_it_fails(cluster: Cluster) -> None:
    projections = await cluster.process(bound(fragile("bad")))
    await cluster.record_many({"o-1": [placed("bad")], "o-2": [placed("bad")]})
    await until_failing(projections, NAME)

    with pytest.raises(InvalidCommand, match=r"OrderSummaries fails at position 1, so .* at 2 .*--force"):
        await projections.skip(NAME, 2, "it fails as well", "user:ops")
    assert not (await status(projections, NAME)).skipped
    await projections.skip(NAME, 2, "it fails as well", "user:ops", force=True)
    await projections.skip(NAME, 1, "a test order", "user:ops")
    await until_at(projections, 2)
    assert await cluster.rows() == []


async def test_a_projection_that_does_not_fail_skips_only_with_force(cluster: Cluster) -> None:
    await cluster.record("o-1", placed())
    stopped = await cluster.process(bound())
    await until_at(stopped, 1)
    await stopped.stop()
    await cluster.record("o-2", placed())

    with pytest.raises(InvalidCommand, match="OrderSummaries does not fail now") as refused:
        await stopped.skip(NAME, 2, "a slip", "user:ops")
    assert refused.value.reason == "EVENT_NOT_FAILING"
    await stopped.skip(NAME, 2, "a test order", "user:ops", force=True)
    await until_at(await cluster.process(bound()), 2)
    assert [row["order_id"] for row in await cluster.rows()] == ["o-1"]


async def test_an_event_that_is_skipped_while_its_page_is_applied_is_not_applied(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be missing after a rebuild, so it must be missing before one."""
    await cluster.record_many({"o-1": [placed()], "o-2": [placed()], "o-3": [placed()]})
    projections = await cluster.process(bound())
    await until_at(projections, 3)
    written = ProjectionDatabase.fetch

    async def skipping_meanwhile(database: ProjectionDatabase, statement: str, *arguments: Any) -> Any:
        if "order_summary__g1_write" in statement and not (await status(projections, NAME)).skipped:
            await projections.skip(NAME, 5, "a test order", "user:ops", force=True)
        return await written(database, statement, *arguments)

    monkeypatch.setattr(ProjectionDatabase, "fetch", skipping_meanwhile)
    position = await cluster.record_many({"o-4": [placed()], "o-5": [placed()], "o-6": [placed()]})
    await until_at(projections, position)

    live = [row["order_id"] for row in await cluster.rows()]
    assert live == ["o-1", "o-2", "o-3", "o-4", "o-6"]
    async for _ in projections.rebuild(NAME):
        pass
    assert [row["order_id"] for row in await cluster.rows()] == live


async def test_an_error_whose_text_cannot_be_stored_is_recorded_with_escapes(cluster: Cluster) -> None:
    projections = await cluster.process(bound(Unprintable))
    await cluster.record("o-1", placed())
    failing = await until_failing(projections, NAME, attempts=2)
    assert failing.last_error == r"ValueError: half a pair \ud800 and a NUL \u0000"


async def test_a_rebuild_skips_the_same_events(cluster: Cluster) -> None:
    projections = await cluster.process(bound(fragile("bad")))
    position = await cluster.record_many({"o-1": [placed("bad")], "o-2": [placed()]})
    await until_failing(projections, NAME)
    await projections.skip(NAME, 1, "a test order", "user:ops")
    await until_at(projections, position)

    async for _ in projections.rebuild(NAME):
        pass

    assert [row["order_id"] for row in await cluster.rows()] == ["o-2"]


@pytest.mark.parametrize("position", [0, 1, 3])
async def test_what_was_applied_or_never_recorded_cannot_be_skipped(cluster: Cluster, position: int) -> None:
    projections = await cluster.process(bound(fragile("bad")))
    await cluster.record_many({"o-1": [placed()], "o-2": [placed("bad")]})
    await until_failing(projections, NAME)

    with pytest.raises(InvalidCommand) as refused:
        await projections.skip(NAME, position, "why not", "user:ops")
    assert [(v.field, v.description) for v in refused.value.violations] == [
        ("position", "must be from 2 to 2")
    ]


async def test_the_error_for_an_unknown_projection_names_the_known_ones(cluster: Cluster) -> None:
    projections = await cluster.process(bound())
    with pytest.raises(NotFound, match="there are: OrderViews, OrderSummaries"):
        await projections.skip("Nothing", 1, "why not", "user:ops")
    with pytest.raises(NotFound, match="there is no projection 'Nothing'"):
        async for _ in projections.rebuild("Nothing"):
            pass
    assert projections.position_of("Nothing") == 0


async def test_bytes_that_encode_no_event_stop_only_projections_that_handle_them(cluster: Cluster) -> None:
    await cluster.record("o-1", placed())
    await cluster.sql("update events set data = '\\xffff' where position = 1")
    position = await cluster.record("o-2", placed())
    projections = await cluster.process(bound())
    failing = await until_failing(projections, NAME)
    assert failing.failing_position == 1

    for name in ("OrderViews", NAME):
        await projections.skip(name, 1, "the bytes are broken", "user:ops")
    await until_at(projections, position)
    page = await cluster.reader.list(OrderSummary, ACME)
    assert [row.order_id for row in page.rows] == ["o-2"]


async def test_a_row_that_the_database_rejects_is_found_among_its_neighbours(cluster: Cluster) -> None:
    await cluster.sql("alter table order_summary__g1 add check (customer_id <> 'refused')")
    projections = await cluster.process(bound())
    customers = ["ann"] * 20 + ["refused"] + ["bob"] * 20
    position = await cluster.record_many({f"o-{n:02}": [placed(c)] for n, c in enumerate(customers)})

    failing = await until_failing(projections, NAME)
    assert (failing.position, failing.failing_position) == (20, 21)
    assert "order_summary__g1" in failing.last_error
    await projections.skip(NAME, 21, "refused", "user:ops")
    await until_at(projections, position)
    assert len(await cluster.rows()) == 40


async def test_an_event_that_only_a_newer_release_can_read_is_waited_for_and_no_failure(
    cluster: Cluster,
) -> None:
    old = await cluster.process(bound())
    await cluster.record("o-1", placed())
    newer = EventWrite(new_id(), "orders.v1.OrderPlaced", 3, placed("bea").SerializeToString())
    command = CommandWrite(Origin(ACME, uuid4(), ""), b"", b"", [newer])
    stream = StreamAppend(StreamKey(ACME, "Order", "o-2"), 0, [command])
    position = (await cluster.store.append([stream])).position

    async def is_waiting() -> bool:
        return "waits" in (await status(old, NAME)).last_error

    await eventually(is_waiting)
    waiting = await status(old, NAME)
    assert waiting.last_error.startswith("waits at event 2: orders.v1.OrderPlaced version 3 is unknown")
    assert (waiting.position, waiting.attempts) == (1, 0)
    assert sum(counters.failures for counters in old.counters()) == 0
    assert old.stalled(0) == "", "waiting is no reason to restart the process"

    await cluster.process(reading(bound(), "orders.v1.OrderPlaced", 3), own_store=True)
    await until_at(old, position)
    assert (await status(old, NAME)).last_error == ""
    row = await cluster.summary("o-2")
    assert row is not None
    assert row.customer_id == "bea"
