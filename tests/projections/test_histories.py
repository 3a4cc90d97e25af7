"""For any history, in any order, the rows equal those of a fresh rebuild."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from intent.model import DELETE, EventMetadata, Projection, projects
from intent.projections.supervisor import ProjectionSettings
from intent.read_models.definition import Definition, definitions_of
from intent.read_models.folding import Folder, RowId, StoredRow
from intent.records import LogEntry
from intent_contracts.orders.v1 import (
    LineChanged,
    OrderCancelled,
    OrderConfirmed,
    OrderPlaced,
    OrderSummary,
)
from orders.values import CONFIRMED

from .cluster import (
    ACME,
    GLOBEX,
    Cluster,
    bound,
    cancelled,
    changed,
    confirmed,
    placed,
    until_at,
)


class Busy(Projection[OrderSummary]):
    """Does everything that a projection can do, so that a wrong order and repeated events show."""

    name = "OrderSummaries"

    @projects
    def placed(self, row: OrderSummary, event: OrderPlaced, meta: EventMetadata) -> None:
        row.customer_id += event.customer_id
        row.line_count = row.line_count * 2 + len(event.lines)
        meta.stamp(row.placed_at)

    @projects(key=lambda event, meta: [meta.aggregate_id, event.line_id, "all"])
    def changed(self, row: OrderSummary, event: LineChanged) -> None:
        row.line_count = (row.line_count * 3 + event.quantity) % 1_000_003

    @projects(key=lambda event, meta: ["all", meta.aggregate_id])
    def confirmed(self, row: OrderSummary, event: OrderConfirmed) -> object:
        row.status = CONFIRMED
        return DELETE if row.line_count % 3 == 0 else None

    @projects
    def cancelled(self, row: OrderSummary, event: OrderCancelled) -> object:
        return DELETE


EVENTS = st.one_of(
    st.builds(placed, st.sampled_from(["ann", "bob", ""]), st.integers(0, 3)),
    st.builds(changed, st.sampled_from(["l-0", "l-1"]), st.integers(0, 9)),
    st.builds(confirmed),
    st.builds(cancelled),
)
STEPS = st.tuples(
    st.sampled_from([ACME, GLOBEX]), st.sampled_from("abc"), st.lists(EVENTS, min_size=1, max_size=4)
)
HISTORIES = st.lists(STEPS, min_size=1, max_size=12)

Table = Mapping[tuple[str, str], tuple[bytes, int]]


async def stored(cluster: Cluster) -> Table:
    return {
        (row["tenant"], row["order_id"]): (row["data"], row["created_position"])
        for row in await cluster.rows()
    }


def folded(definition: Definition, decode: Any, entries: Sequence[LogEntry]) -> Table:
    """Return the rows, folded one event at a time with nothing cached in between."""
    folder = Folder(definition.projection, definition.shape, decode)
    rows: dict[RowId, StoredRow] = {}
    for entry in entries:
        changes = folder.fold(folder.plan(entry.position - 1, [entry]), rows).changes
        rows |= {u.id: StoredRow(u.data, u.created_position) for u in changes.upserts}
        for id_ in changes.deletes:
            del rows[id_]
    return {(id_.tenant, id_.key[0]): (row.data, row.created_position) for id_, row in rows.items()}


@given(history=HISTORIES, page_size=st.sampled_from([1, 2, 3, 7, 1_000]))
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_live_rows_equal_a_rebuild_and_a_fold_in_memory(
    cluster: Cluster, history: Sequence[tuple[str, str, Sequence[Message]]], page_size: int
) -> None:
    # One database for all examples: each continues where the last one ended.
    context = bound(Busy)
    projections = await cluster.process(
        context, ProjectionSettings(page_size, rebuild_page_size=page_size + 1)
    )
    for tenant, order, events in history:
        position = await cluster.record(order, *events, tenant=tenant)
    await until_at(projections, position)

    live = await stored(cluster)
    entries = await cluster.store.read_log(0, 1_000_000)
    assert live == folded(definitions_of(context)[1], context.upcasters.event, entries)
    async for _ in projections.rebuild("OrderSummaries"):
        pass
    assert await stored(cluster) == live
    await projections.stop()
