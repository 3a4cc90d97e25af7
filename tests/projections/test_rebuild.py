"""Rebuilds: next to the rows that are read, switched atomically, resumed by any process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import asyncpg
import pytest
from intent.errors import Rejected, Unavailable
from intent.projections.supervisor import ProjectionSettings
from intent_contracts.orders.v1 import OrderSummary, OrderView

from .cluster import (
    ACME,
    VIEWS,
    Cluster,
    bound,
    changed,
    confirmed,
    placed,
    reshaped,
    status,
    until_at,
)
from .projection_examples import Counting, Second

NAME = "OrderSummaries"
SMALL = ProjectionSettings(rebuild_page_size=20)


class Readers:
    """Reads a whole read model repeatedly, as callers do, and records what it saw."""

    def __init__(self, cluster: Cluster) -> None:
        self.seen: list[list[OrderSummary]] = []
        self._cluster = cluster

    @asynccontextmanager
    async def running(self, count: int = 2) -> AsyncIterator[None]:
        stop = asyncio.Event()

        async def read() -> None:
            while not stop.is_set():
                page = await self._cluster.reader.list(OrderSummary, ACME, page_size=500)
                self.seen.append(list(page.rows))

        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                group.create_task(read())
            yield
            stop.set()


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(600):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("the condition never held")


async def current_generation(cluster: Cluster) -> int:
    """Return the number of the generation that is read."""
    (row,) = await cluster.sql("select generation from projections where name = $1", NAME)
    generation: int = row["generation"]
    return generation


async def until_rebuilt(cluster: Cluster) -> None:
    for _ in range(600):
        if await current_generation(cluster) > 1:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("no process rebuilt it")


async def tables(cluster: Cluster) -> list[str]:
    rows = await cluster.sql(
        "select relname from pg_class where relkind = 'r' and relname like 'order_summary\\_\\_g%' order by 1"
    )
    return [row["relname"] for row in rows]


async def test_readers_never_see_a_partial_model_while_commands_arrive(cluster: Cluster) -> None:
    projections = await cluster.process(bound(Counting), SMALL)
    await until_at(
        projections, await cluster.record_many({f"o-{n}": [placed(), changed()] for n in range(200)})
    )
    readers = Readers(cluster)
    reported = []

    async with readers.running():
        await until(lambda: len(readers.seen) > 2)
        number = 200
        async for progress in projections.rebuild(NAME):
            reported.append(progress)
            await cluster.record(f"o-{number}", placed(), changed())
            number += 1
        seen = len(readers.seen)
        await until(lambda: len(readers.seen) > seen + 4)

    counts = [len(rows) for rows in readers.seen]
    assert min(counts) >= 200
    assert all(row.line_count <= 2 for rows in readers.seen for row in rows), "an event was applied twice"
    assert reported[-1].done
    assert [p.position for p in reported] == sorted(p.position for p in reported)
    assert all(p.position <= p.head for p in reported)
    assert await current_generation(cluster) == 2
    assert await tables(cluster) == ["order_summary__g2"]
    await until_at(projections, await cluster.store.position())
    assert all(OrderSummary.FromString(row["data"]).line_count == 2 for row in await cluster.rows())


async def test_reads_never_go_back_in_the_log(cluster: Cluster) -> None:
    projections = await cluster.process(bound(Counting), SMALL)
    position = await cluster.record_many({f"o-{n}": [placed()] for n in range(100)})
    await until_at(projections, position)
    readers = Readers(cluster)

    async with readers.running(1):
        for round_ in range(4):
            async for _ in projections.rebuild(NAME):
                await cluster.record(f"p-{round_}-{position}", placed())
                position += 1

    counts = [len(rows) for rows in readers.seen]
    assert counts == sorted(counts)
    assert await current_generation(cluster) == 5


async def test_a_new_version_is_rebuilt_and_then_read_at_once(cluster: Cluster) -> None:
    old = await cluster.process(bound(Counting), own_store=True)
    await until_at(old, await cluster.record_many({f"o-{n}": [placed()] for n in range(150)}))
    readers = Readers(cluster)

    # One reader: two at once may be answered in another order than the one in which they looked.
    async with readers.running(1):
        await until(lambda: len(readers.seen) > 2)
        await cluster.migrate(bound(Second))
        new = await cluster.process(bound(Second), SMALL, own_store=True)
        for n in range(150, 170):
            position = await cluster.record(f"o-{n}", placed())
        await until_at(new, position)
        # The position may still be that of the old generation.
        await until_rebuilt(cluster)
        seen = len(readers.seen)
        await until(lambda: len(readers.seen) > seen + 4)

    versions = [{row.line_count == 1_000 for row in rows} for rows in readers.seen]
    assert {True, False} not in versions, "old and new rows were read together"
    assert versions == sorted(versions, key=lambda kinds: True in kinds), "old rows were read after new ones"
    assert versions[0] == {False}
    assert versions[-1] == {True}


async def test_older_code_does_not_write_the_rows_of_newer_code(cluster: Cluster) -> None:
    old = await cluster.process(bound(Counting), own_store=True)
    await cluster.migrate(bound(Second))
    new = await cluster.process(bound(Second), own_store=True)
    await until_at(new, await cluster.record("o-1", placed()))
    await until_rebuilt(cluster)

    position = await cluster.record("o-2", placed())
    await until_at(old, position)
    assert [OrderSummary.FromString(row["data"]).line_count for row in await cluster.rows()] == [1_000, 1_000]
    assert "leaves the work to version 2" in (await status(old, NAME)).last_error
    with pytest.raises(Rejected, match="is at version 2 in the database and at 1 here"):
        async for _ in old.rebuild(NAME):
            pass


async def test_code_that_was_not_migrated_says_so_and_changes_nothing(cluster: Cluster) -> None:
    await until_at(await cluster.process(bound(Counting)), await cluster.record("o-1", placed()))

    ahead = await cluster.process(bound(Second), own_store=True)
    await until(lambda: ahead.position_of(NAME) == 1)
    position = await cluster.record("o-1", changed())
    await until_at(ahead, position, VIEWS.name)

    assert "intent migrate" in (await status(ahead, NAME)).last_error
    assert await current_generation(cluster) == 1


async def test_another_shape_of_the_table_is_rebuilt(cluster: Cluster) -> None:
    context = bound(Counting)
    before = await cluster.process(context)
    await until_at(before, await cluster.record_many({"o-1": [placed(), changed()], "o-2": [placed()]}))
    await before.stop()

    wider = reshaped(context, OrderSummary, indexed=("line_count", "status"))
    await cluster.migrate(wider)
    reader = type(cluster.reader)(await cluster.pool(cluster.database.query), wider)
    with pytest.raises(Unavailable, match="is being rebuilt"):
        await reader.list(OrderSummary, ACME, where={"line_count": 2})
    after = await cluster.process(wider)
    await until_rebuilt(cluster)

    page = await reader.list(OrderSummary, ACME, where={"line_count": 2})
    assert [row.order_id for row in page.rows] == ["o-1"]
    await until_at(after, await cluster.record("o-2", changed()))
    page = await reader.list(OrderSummary, ACME, where={"line_count": 2})
    assert [row.order_id for row in page.rows] == ["o-2", "o-1"]


async def test_the_next_process_resumes_an_interrupted_rebuild(cluster: Cluster) -> None:
    context = bound(Counting)
    first = await cluster.process(context, ProjectionSettings(rebuild_page_size=10))
    position = await cluster.record_many({f"o-{n}": [placed()] for n in range(500)})
    await until_at(first, position)
    rebuild = first.rebuild(NAME)
    async for progress in rebuild:
        if progress.position >= 100:
            break
    await first.stop()
    interrupted = await status(first, NAME)
    assert interrupted.rebuilding
    assert 100 <= interrupted.rebuild_position < position
    await cluster.sql("update projection_generations set worker_until = now()")

    second = await cluster.process(context, ProjectionSettings(rebuild_page_size=100))
    steps = [step async for step in second.rebuild(NAME)]

    assert steps[-1].done
    assert steps[0].position == 0 or steps[0].position >= 100
    assert await current_generation(cluster) == 2
    assert await tables(cluster) == ["order_summary__g2"]
    assert len(await cluster.rows()) == 500


async def test_two_processes_asked_at_once_share_one_rebuild(cluster: Cluster) -> None:
    context = bound(Counting)
    processes = [await cluster.process(context, SMALL, own_store=True) for _ in range(2)]
    position = await cluster.record_many({f"o-{n}": [placed()] for n in range(300)})
    await asyncio.gather(*(until_at(process, position) for process in processes))

    async def rebuild(number: int) -> bool:
        steps = [step async for step in processes[number].rebuild(NAME)]
        return steps[-1].done

    assert all(await asyncio.gather(rebuild(0), rebuild(1)))
    assert len(await tables(cluster)) == 1
    assert len(await cluster.rows()) == 300


async def test_the_rebuild_continues_when_its_caller_disconnects(cluster: Cluster) -> None:
    projections = await cluster.process(bound(Counting), ProjectionSettings(rebuild_page_size=10))
    await until_at(projections, await cluster.record_many({f"o-{n}": [placed()] for n in range(200)}))
    rebuild = projections.rebuild(NAME)
    await anext(rebuild)
    await rebuild.aclose()  # type: ignore[attr-defined]

    await until_rebuilt(cluster)


async def test_only_the_rebuilt_projection_changes(cluster: Cluster) -> None:
    projections = await cluster.process(bound())
    await until_at(projections, await cluster.record("o-1", placed(), confirmed()))
    before = await cluster.sql("select * from order_view")

    async for _ in projections.rebuild(NAME):
        pass

    assert await cluster.sql("select * from order_view") == before
    assert (await status(projections, VIEWS.name)).generation == 1
    assert isinstance(await cluster.view("o-1"), OrderView)


async def test_the_rebuilt_table_has_the_indexes_and_the_row_level_security_of_the_old(
    cluster: Cluster,
) -> None:
    describe = """
        select c.relrowsecurity, c.relforcerowsecurity,
            array(select regexp_replace(pg_get_indexdef(i.indexrelid), 'order_summary__g\\d+\\S*', 't', 'g')
                  from pg_index i where i.indrelid = c.oid order by 1) as indexes,
            array(select polname || polcmd::text from pg_policy where polrelid = c.oid order by 1) as rules,
            (select array_agg(a::text order by a::text) from unnest(c.relacl) a) as grants
        from pg_class c where relkind = 'r' and relname like 'order_summary\\_\\_g%'
    """
    projections = await cluster.process(bound())
    await until_at(projections, await cluster.record("o-1", placed()))
    before = await cluster.sql(describe)

    async for _ in projections.rebuild(NAME):
        pass

    assert [dict(row) for row in await cluster.sql(describe)] == [dict(row) for row in before]
    assert len(before[0]["indexes"]) == 4


async def test_no_lock_that_can_be_guessed_holds_up_the_indexes(cluster: Cluster) -> None:
    context = bound(Counting)
    process = await cluster.process(context)
    await until_at(process, await cluster.record_many({"o-1": [placed()]}))
    stranger = await asyncpg.connect(cluster.database.query)
    try:
        guessed = f"intent index {cluster.database.context}.{NAME}.2"
        await stranger.execute("select pg_advisory_lock(hashtextextended($1, 0))", guessed)
        steps = [step async for step in process.rebuild(NAME)]
    finally:
        await stranger.close()
    assert steps[-1].done


async def test_indexes_are_built_once_by_two_sessions(cluster: Cluster) -> None:
    await cluster.sql("update projection_generations set indexed = false")
    first, second = [await asyncpg.connect(cluster.database.owner) for _ in range(2)]
    count = "select count(*) from pg_indexes where tablename = 'order_summary__g1'"
    build = f"select {cluster.database.context}.projection_index('{NAME}', 1)"
    try:
        before = await first.fetchval(count)
        async with first.transaction():
            await first.execute(build)
            built = await first.fetchval(count)
            waiting = asyncio.create_task(second.execute(build))
            blocked = "select wait_event_type = 'Lock' from pg_stat_activity where pid = $1"
            admin = await asyncpg.connect(cluster.database.admin)
            while not await admin.fetchval(blocked, second.get_server_pid()):
                await admin.execute("select pg_sleep(0.01)")
            await admin.close()
        await waiting
        assert await first.fetchval(count) == built > before
    finally:
        await first.close()
        await second.close()
