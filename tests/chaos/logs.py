"""The invariants of a context once it is quiet: of its log and of its read models."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg
from intent.client import IntentClient

__all__ = ["Log", "check_log", "check_read_models", "fetched"]

Log = Sequence[Mapping[str, Any]]
_LOOK = 0.1


async def fetched(dsn: str, query: str) -> Log:
    """Return the rows of a query, for the administrator and so of every tenant."""
    connection = await asyncpg.connect(dsn)
    try:
        rows: Log = await connection.fetch(query)
        return rows
    finally:
        await connection.close()


async def check_log(dsn: str, context: str) -> Log:
    """Return the log of a context; raise AssertionError when it has a gap or a stream skips a version."""
    log = await fetched(dsn, f"select * from {context}.events order by position")
    positions = [row["position"] for row in log]
    assert positions == list(range(1, len(log) + 1)), f"the log of {context} has a gap"
    versions: Counter[tuple[str, str, str]] = Counter()
    for row in log:
        stream = (row["tenant"], row["aggregate_type"], row["aggregate_id"])
        versions[stream] += 1
        assert row["version"] == versions[stream], f"{context}: {stream} skips a version"
    return log


async def check_read_models(dsn: str, context: str, client: IntentClient, patience: float) -> None:
    """Rebuild every read model of a context; raise AssertionError when that changes a row."""
    query = f"select name, shape->>'table' as read, shape->>'key' as key from {context}.projections"
    for projection in await fetched(dsn, query):
        table, key = f"{context}.{projection['read']}", json.loads(projection["key"])
        columns = ["tenant", *(column["name"] for column in key)]
        await _caught_up(client, projection["name"], patience)
        before = await _rows(dsn, table, columns)
        async for _ in client.projections.rebuild(projection["name"]):
            pass
        after = await _rows(dsn, table, columns)
        differing = sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
        assert not differing, f"{projection['name']} differs from a fresh rebuild in {differing[:5]}"


async def _caught_up(client: IntentClient, projection: str, patience: float) -> None:
    async with asyncio.timeout(patience):
        while True:
            listed = await client.projections.list()
            status = next(p for p in listed.projections if p.name == projection)
            if status.position >= listed.head:
                return
            await asyncio.sleep(_LOOK)


async def _rows(dsn: str, table: str, key: list[str]) -> dict[tuple[str, ...], tuple[object, ...]]:
    rows = await fetched(dsn, f"select * from {table}")
    return {tuple(str(row[name]) for name in key): tuple(row) for row in rows}
