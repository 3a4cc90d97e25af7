"""Events become rows: in order, once, for the right tenant."""

from __future__ import annotations

import asyncio
from datetime import UTC

from intent_contracts.orders.v1 import OrderStatus, OrderSummary, OrderView

from .cluster import ACME, GLOBEX, Cluster, bound, cancelled, changed, confirmed, placed, until_at
from .projection_examples import Audit, Customers, OpenOrders


async def test_the_rows_of_a_command_are_there_once_its_position_is_reached(cluster: Cluster) -> None:
    projections = await cluster.process(bound())
    position = await cluster.record("o-1", placed(lines=2), changed("l-1", 7), confirmed())

    assert await projections.reach(position, 30) == []

    view = await cluster.view("o-1")
    assert view is not None
    assert view.order_id == "o-1"
    assert view.status == OrderStatus.ORDER_STATUS_CONFIRMED
    assert [(line.line_id, line.quantity) for line in view.lines] == [("l-0", 1), ("l-1", 7)]
    assert view.version == 3
    summary = await cluster.summary("o-1")
    assert summary is not None
    assert summary.line_count == 2


async def test_rows_belong_to_the_tenant_of_their_events(cluster: Cluster) -> None:
    projections = await cluster.process(bound())
    await cluster.record("o-1", placed("ann"), tenant=ACME)
    position = await cluster.record("o-1", placed("bob"), tenant=GLOBEX)
    await until_at(projections, position)

    seen = {tenant: await cluster.view("o-1", tenant) for tenant in (ACME, GLOBEX, "initech")}
    assert {tenant: view and view.customer_id for tenant, view in seen.items()} == {
        ACME: "ann",
        GLOBEX: "bob",
        "initech": None,
    }


async def test_a_process_catches_up_with_events_recorded_before_it_started(cluster: Cluster) -> None:
    position = await cluster.record_many({f"o-{n}": [placed(), changed()] for n in range(300)})
    projections = await cluster.process(bound())
    await until_at(projections, position)

    assert len(await cluster.rows()) == 300
    assert all(status.lag == 0 for status in await projections.statuses())


async def test_one_event_may_concern_several_rows(cluster: Cluster) -> None:
    projections = await cluster.process(bound(Customers))
    position = await cluster.record_many({f"o-{n}": [placed(f"c-{n % 2}")] for n in range(5)})
    await until_at(projections, position)

    counts = {
        row["order_id"]: OrderSummary.FromString(row["data"]).line_count for row in await cluster.rows()
    }
    assert counts == {"all": 5, "c-0": 3, "c-1": 2}


async def test_a_deleted_row_is_removed_and_reappears_empty(cluster: Cluster) -> None:
    projections = await cluster.process(bound(OpenOrders))
    await until_at(projections, await cluster.record("o-1", placed(), changed(quantity=3)))
    await until_at(projections, await cluster.record("o-1", cancelled()))
    assert await cluster.summary("o-1") is None

    await until_at(
        projections, await cluster.record("o-1", changed(quantity=2), cancelled(), changed(quantity=4))
    )
    assert await cluster.summary("o-1") == OrderSummary(order_id="o-1", line_count=4)
    (row,) = await cluster.rows()
    assert row["created_position"] == row["updated_position"] == 6


async def test_a_handler_may_use_the_metadata_of_an_event(cluster: Cluster) -> None:
    projections = await cluster.process(bound(Audit))
    await until_at(projections, await cluster.record("o-1", placed()))

    view = await cluster.view("o-1")
    assert view is not None
    assert view.customer_id == "user:ann at 1 in orders.v1.OrderPlaced"
    (entry,) = await cluster.store.read_log(0, 1)
    assert view.placed_at.ToDatetime(UTC) == entry.recorded_at


async def test_reach_with_timeout_0_only_checks(cluster: Cluster) -> None:
    projections = await cluster.process(bound())
    position = await cluster.record("o-1", placed())
    await until_at(projections, position)

    assert await projections.reach(position, 0) == []
    assert list(await projections.reach(position + 1, 0)) == ["OrderViews", "OrderSummaries"]
    assert list(await projections.reach(position + 1, 0.05, ["OrderSummaries"])) == ["OrderSummaries"]


async def test_waiting_for_events_that_never_come_times_out(cluster: Cluster) -> None:
    projections = await cluster.process(bound())
    assert await projections.reach(1_000, 0.2) != []

    await until_at(projections, await cluster.record("o-1", placed()))
    assert await cluster.view("o-1") is not None


async def test_many_callers_wait_at_once(cluster: Cluster) -> None:
    projections = await cluster.process(bound())

    async def one(number: int) -> OrderView | None:
        position = await cluster.record(f"o-{number}", placed())
        assert await projections.reach(position, 30) == []
        return await cluster.view(f"o-{number}")

    assert all(await asyncio.gather(*(one(n) for n in range(100))))


async def test_texts_that_no_column_can_hold_are_stored_and_found(cluster: Cluster) -> None:
    projections = await cluster.process(bound())
    odd = ["with\0nul", "x" * 5_000, "x" * 4_999 + "y", "\U0001f600" * 300]
    position = await cluster.record_many({f"o-{n}": [placed(customer)] for n, customer in enumerate(odd)})
    await until_at(projections, position)

    for customer in odd:
        page = await cluster.reader.list(OrderSummary, ACME, where={"customer_id": customer})
        assert [row.customer_id for row in page.rows] == [customer]
