"""A release that raises a projection's version, is rolled back, and comes again: the rows go on to move."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from intent.projections.supervisor import ProjectionSettings, ProjectionSupervisor
from intent_contracts.orders.v1 import OrderSummary

from .cluster import Cluster, bound, placed, status, until_at
from .projection_examples import Counting, Second
from .test_rebuild import NAME, until_rebuilt

SPOKEN = "select from projections where name = $1 and run_at > now() - interval '20 seconds'"
OLD, NEW = bound(Counting), bound(Second)


async def eventually(holds: Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(60):
        while not await holds():  # noqa: ASYNC110 - nothing signals when it holds
            await asyncio.sleep(0.05)


async def line_counts(cluster: Cluster) -> list[int]:
    return [OrderSummary.FromString(row["data"]).line_count for row in await cluster.rows()]


async def silence(cluster: Cluster) -> None:
    """Let the time pass after which a version that nobody runs counts as gone."""
    await cluster.sql("update projections set run_at = run_at - interval '2 minutes'")


async def until_left(supervisor: ProjectionSupervisor) -> None:
    """Wait until a process leaves the projection to another version of its code."""

    async def left() -> bool:
        error = (await status(supervisor, NAME)).last_error
        return "leaves the work to version" in error or "intent migrate" in error

    await eventually(left)


async def rolled_out(cluster: Cluster) -> tuple[ProjectionSupervisor, ProjectionSupervisor]:
    """Return a process of each release, of which the newer one has taken the projection over."""
    old = await cluster.process(OLD, own_store=True)
    await until_at(old, await cluster.record("o-1", placed()))
    await cluster.migrate(NEW)
    new = await cluster.process(NEW, own_store=True)
    await until_rebuilt(cluster)
    await until_at(old, await cluster.record("o-2", placed()))
    await until_left(old)
    return old, new


async def until_counts(cluster: Cluster, counts: list[int]) -> None:
    async def counted() -> bool:
        return await line_counts(cluster) == counts

    await eventually(counted)


async def test_a_release_that_is_rolled_back_and_comes_again_moves_its_own_rows_each_time(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    old, new = await rolled_out(cluster)
    await new.stop()
    await cluster.record("o-3", placed())
    await silence(cluster)
    await cluster.record("o-4", placed())
    await until_counts(cluster, [1] * 4)
    assert "no process runs version 2 of its code any more; version 1 takes it up" in caplog.text

    # Forward with `helm rollback`, which runs no migration: the process waits for the end of the others.
    new = await cluster.process(NEW, own_store=True)
    await until_left(new)
    await until_at(old, await cluster.record("o-5", placed()))
    await old.stop()
    await silence(cluster)
    await until_counts(cluster, [1_000] * 5)

    # And back, and forward with a migration, after which it need not wait.
    await new.stop()
    old = await cluster.process(OLD, own_store=True)
    await until_left(old)
    await silence(cluster)
    await until_counts(cluster, [1] * 5)
    await cluster.migrate(NEW)
    await cluster.process(NEW, own_store=True)
    await until_counts(cluster, [1_000] * 5)


async def test_older_code_takes_nothing_up_while_a_process_of_the_newer_release_runs(
    cluster: Cluster,
) -> None:
    old, new = await rolled_out(cluster)
    await old.stop()
    await new.stop()
    await silence(cluster)
    new = await cluster.process(NEW, ProjectionSettings(gone_after=0.5), own_store=True)
    await until_at(new, await cluster.record("o-3", placed()))
    await eventually(lambda: cluster.sql(SPOKEN, NAME))
    old = await cluster.process(OLD, own_store=True)
    await until_left(old)
    await until_at(old, await cluster.record("o-4", placed()))
    await until_counts(cluster, [1_000] * 4)
    assert "leaves the work to version 2" in (await status(old, NAME)).last_error


async def test_code_that_no_migration_declared_takes_nothing_up(cluster: Cluster) -> None:
    process = await cluster.process(NEW)
    await silence(cluster)
    await until_left(process)
    assert "intent migrate" in (await status(process, NAME)).last_error
    (row,) = await cluster.sql("select version from projections where name = $1", NAME)
    assert row["version"] == 1
