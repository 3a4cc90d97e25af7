"""Declares the tables of a context's read models to its database, as the owner, within a migration."""

from __future__ import annotations

from typing import Any

from intent.model import BoundContext
from intent.read_models.definition import definitions_of
from intent.store.locks import lock_schema
from intent.store.roles import quoted

__all__ = ["ensure_tables"]


async def ensure_tables(connection: Any, context: BoundContext, *, schema: str | None = None) -> None:
    """Create the tables of new projections and record what changed in the others.

    A projection whose version or shape changed keeps the table that is read; the runner
    builds the new one next to it. Safe to run twice, and by two processes at once.

    Args:
        connection: An asyncpg connection of the schema's owner, after the platform's migrations.
        context: The context.
        schema: The schema of the context; by default its name.
    """
    name = schema or context.name
    declare = f"select {quoted(name)}.projection_declare($1, $2, $3::jsonb)"
    async with connection.transaction():
        await connection.execute(lock_schema(name))
        for definition in definitions_of(context):
            shape = definition.shape.declaration
            await connection.execute(declare, definition.name, definition.version, shape)
