"""How far behind projections are is measured against the database, not against what a process has heard."""

from __future__ import annotations

from intent.background import stop_all
from intent.projections.supervisor import ProjectionSupervisor

from ..support.command_path import eventually
from .cluster import Cluster, bound, placed


def lag(projections: ProjectionSupervisor) -> list[int]:
    return [counters.lag for counters in projections.counters()]


async def test_a_process_that_hears_of_nothing_knows_its_lag_and_catches_up(cluster: Cluster) -> None:
    projections = await cluster.process(bound(), own_store=True)
    feed, *runners = projections._tasks
    await stop_all([feed])
    last = await cluster.record_many({f"o-{n}": [placed()] for n in range(50)})
    await projections.measure()
    assert lag(projections) == [last, last]

    async def caught_up() -> bool:
        return lag(projections) == [0, 0]

    await eventually(caught_up)
    assert await projections.reach(last, 0) == []

    await stop_all(runners)
    await cluster.record("late", placed())
    await projections.measure()
    assert lag(projections) == [1, 1]
    assert "OrderViews has not moved" in projections.stalled(0)
