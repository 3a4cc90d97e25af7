"""Declaring the tables: as often and as many at once as deployments do it."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import asyncpg
import pytest
from intent.errors import ConfigurationError
from intent.projections.database import ProjectionDatabase
from intent.projections.state import read_state
from intent.projections.tables import ensure_tables
from intent.read_models.definition import definitions_of
from intent.store.migrations import migrate

from ..support.databases import Database
from .examples import Second
from .world import World, bound

DECLARED = "select name, version, generation from orders.projections order by name"


async def declared(database: Database) -> list[tuple[object, ...]]:
    connection = await asyncpg.connect(database.admin)
    try:
        return [tuple(row) for row in await connection.fetch(DECLARED)]
    finally:
        await connection.close()


async def test_declaring_twice_and_by_several_at_once_is_the_same_as_once(database: Database) -> None:
    context = bound()

    async def deploy() -> None:
        await migrate(database.owner, database.context, prepare=lambda c: ensure_tables(c, context))

    await asyncio.gather(*(deploy() for _ in range(4)))
    await deploy()

    assert await declared(database) == [("OrderSummaries", 1, 1), ("OrderViews", 1, 1)]


async def test_a_new_version_is_noted_and_leaves_what_is_read(world: World) -> None:
    await world.migrate(bound(Second))

    assert await declared(world.database) == [("OrderSummaries", 2, 1), ("OrderViews", 1, 1)]
    assert await world.rows() == []


@pytest.mark.parametrize("role", ["service", "query"])
async def test_only_the_owner_declares(world: World, role: str) -> None:
    connection = await asyncpg.connect(getattr(world.database, role))
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await ensure_tables(connection, bound())
    finally:
        await connection.close()


async def test_the_projector_cannot_choose_what_tables_look_like(world: World) -> None:
    connection = await asyncpg.connect(
        world.database.service, server_settings={"search_path": world.database.context}
    )
    try:
        await connection.execute(f"set role {world.database.context}_projector")
        for statement in (
            "select projection_declare('OrderViews', 9, '{}')",
            "select projection_show('{}', 1)",
            "select projection_drop('OrderViews', 1)",
            "select projection_table_create('OrderViews', 9)",
            "update projections set version = 9",
            "select * from events",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
    finally:
        await connection.close()


async def test_a_context_that_was_not_migrated_says_how(database: Database) -> None:
    async with AsyncExitStack() as stack:
        world = World(database, stack)
        pool = await world.pool(database.service)
        with pytest.raises(ConfigurationError, match="run `intent migrate orders`"):
            await read_state(ProjectionDatabase(pool, database.context), definitions_of(bound())[0])
