"""Declaring the tables: repeatedly and concurrently, as deployments do."""

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
from orders.projections import OrderViews

from ..support.databases import Database
from .cluster import Cluster, bound
from .projection_examples import Second

VIEWS = ("OrderViews", OrderViews.version, 1)
DECLARED = "select name, version, generation from orders.projections order by name"


async def declared_projections(database: Database) -> list[tuple[object, ...]]:
    connection = await asyncpg.connect(database.admin)
    try:
        return [tuple(row) for row in await connection.fetch(DECLARED)]
    finally:
        await connection.close()


async def test_declaring_is_idempotent_and_safe_to_run_concurrently(database: Database) -> None:
    context = bound()

    async def deploy() -> None:
        await migrate(database.owner, database.context, prepare=lambda c: ensure_tables(c, context))

    await asyncio.gather(*(deploy() for _ in range(4)))
    await deploy()

    assert await declared_projections(database) == [
        ("OrderSummaries", 1, 1),
        ("OrderViews", OrderViews.version, 1),
    ]


async def test_a_new_version_is_recorded_and_keeps_the_current_generation(cluster: Cluster) -> None:
    await cluster.migrate(bound(Second))

    assert await declared_projections(cluster.database) == [
        ("OrderSummaries", 2, 1),
        ("OrderViews", OrderViews.version, 1),
    ]
    assert await cluster.rows() == []


@pytest.mark.parametrize("role", ["service", "query"])
async def test_only_the_owner_declares(cluster: Cluster, role: str) -> None:
    connection = await asyncpg.connect(
        getattr(cluster.database, role), server_settings={"default_transaction_read_only": "off"}
    )
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await ensure_tables(connection, bound())
    finally:
        await connection.close()


async def test_the_projector_cannot_change_tables_or_their_declaration(cluster: Cluster) -> None:
    connection = await asyncpg.connect(
        cluster.database.service, server_settings={"search_path": cluster.database.context}
    )
    try:
        await connection.execute(f"set role {cluster.database.context}_projector")
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


async def test_the_error_for_a_context_that_was_not_migrated_says_how_to_migrate(database: Database) -> None:
    async with AsyncExitStack() as stack:
        cluster = Cluster(database, stack)
        pool = await cluster.pool(database.service)
        with pytest.raises(ConfigurationError, match="run `intent migrate orders`"):
            await read_state(ProjectionDatabase(pool, database.context), definitions_of(bound())[0])
