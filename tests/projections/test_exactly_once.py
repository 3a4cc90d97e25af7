"""The rows contain every event exactly once, whatever crashes and however many processes run."""

from __future__ import annotations

import asyncio
import random

import asyncpg
from intent.projections.supervisor import ProjectionSettings
from intent_contracts.orders.v1 import OrderSummary

from .cluster import Cluster, bound, changed, confirmed, placed, until_at
from .projection_examples import Counting

# The trigger kills the server's process when rows and checkpoint are both written, right
# before their commit.
CRASHES = """
create function crash() returns trigger language plpgsql as $$
begin
    if new.position > old.position and random() < {share} then
        perform pg_terminate_backend(pg_backend_pid());
    end if;
    return null;
end $$;
create constraint trigger crash after update on projection_generations
    deferrable initially deferred for each row execute function crash();
"""


async def let_it_crash(cluster: Cluster, share: float) -> None:
    connection = await asyncpg.connect(
        cluster.database.admin, server_settings={"search_path": cluster.database.context}
    )
    try:
        # The projector may not terminate processes; the trigger runs with the administrator's rights.
        await connection.execute(CRASHES.format(share=share))
        await connection.execute("alter function crash() security definer")
    finally:
        await connection.close()


async def line_counts(cluster: Cluster) -> dict[str, int]:
    return {row["order_id"]: OrderSummary.FromString(row["data"]).line_count for row in await cluster.rows()}


async def test_a_crash_between_rows_and_commit_loses_and_repeats_nothing(cluster: Cluster) -> None:
    await let_it_crash(cluster, 0.5)
    projections = await cluster.process(bound(Counting), ProjectionSettings(page_size=7))
    for n in range(12):
        position = await cluster.record_many(
            {f"o-{n}-{k}": [placed(), changed(), changed()] for k in range(3)}
        )
    await until_at(projections, position)

    assert await line_counts(cluster) == {f"o-{n}-{k}": 3 for n in range(12) for k in range(3)}


async def test_a_crash_during_a_rebuild_loses_and_repeats_nothing(cluster: Cluster) -> None:
    context = bound(Counting)
    position = await cluster.record_many({f"o-{n}": [placed(), changed()] for n in range(60)})
    projections = await cluster.process(context, ProjectionSettings(rebuild_page_size=12))
    await until_at(projections, position)
    await let_it_crash(cluster, 0.3)

    progress = [step async for step in projections.rebuild("OrderSummaries")]

    assert progress[-1].done
    assert await line_counts(cluster) == {f"o-{n}": 2 for n in range(60)}


async def test_processes_that_run_the_same_projection_apply_each_event_once(cluster: Cluster) -> None:
    context = bound(Counting)
    processes = [
        await cluster.process(context, ProjectionSettings(page_size=5), own_store=True) for _ in range(3)
    ]
    chance = random.Random(7)

    async def writer(number: int) -> int:
        position = await cluster.record(f"o-{number}", placed())
        for _ in range(10):
            await asyncio.sleep(chance.random() / 200)
            position = await cluster.record(f"o-{number}", changed())
        return position

    last = max(await asyncio.gather(*(writer(n) for n in range(8))))
    await asyncio.gather(*(until_at(process, last) for process in processes))

    assert await line_counts(cluster) == {f"o-{n}": 11 for n in range(8)}
    applied = sum(c.events for p in processes for c in p.counters() if c.name == "OrderSummaries")
    assert applied == last, "some process applied events that another had applied"


async def test_the_next_process_continues_where_a_stopped_one_ended(cluster: Cluster) -> None:
    context = bound(Counting)
    position = await cluster.record_many({f"o-{n}": [placed(), changed()] for n in range(200)})
    for _ in range(5):
        process = await cluster.process(context, ProjectionSettings(page_size=20))
        await process.reach(position, 0.01)
        await process.stop()
    await until_at(await cluster.process(context), position)

    assert await line_counts(cluster) == {f"o-{n}": 2 for n in range(200)}


async def test_the_checkpoint_moves_past_events_that_the_projection_does_not_handle(cluster: Cluster) -> None:
    projections = await cluster.process(bound(Counting))
    position = await cluster.record("o-1", placed())
    for _ in range(3):
        position = await cluster.record("o-1", confirmed())
    await until_at(projections, position)

    assert {s.name: s.position for s in await projections.statuses()} == {
        "OrderViews": position,
        "OrderSummaries": position,
    }
