"""Records that a projection is to skip an event."""

from __future__ import annotations

from intent.errors import InvalidCommand, Violation
from intent.projections.database import ProjectionDatabase
from intent.store.roles import quoted

__all__ = ["note_skip"]

_CHECKPOINTS = """
select position from {schema}.projection_generations where projection = $1 order by generation for update
"""

_NOTE_SKIP = """
insert into {schema}.projection_skips (projection, position, reason, actor) values ($1, $2, $3, $4)
on conflict (projection, position) do nothing
"""

_RETRY = """
update {schema}.projection_generations set retry_at = null where projection = $1 and failing_position = $2
"""


async def note_skip(
    database: ProjectionDatabase, name: str, position: int, head: int, reason: str, actor: str
) -> None:
    """Record a skip, and let a failing projection try again at once.

    Args:
        database: Where the projections are.
        name: The projection.
        position: The event's position.
        head: The position of the log.
        reason: Why.
        actor: Who decided it.

    Raises:
        InvalidCommand: Every generation has applied the event, or it does not exist.
        StoreUnavailable: The database is unavailable.
    """
    schema = quoted(database.schema)
    async with database.transaction() as connection:
        generations = await connection.fetch(_CHECKPOINTS.format(schema=schema), name)
        checkpoint = min(generation["position"] for generation in generations)
        if not checkpoint < position <= head:
            raise InvalidCommand(
                "EVENT_NOT_SKIPPABLE",
                f"{name} has applied all events up to {checkpoint}, and the log ends at {head}",
                violations=[Violation("position", f"must be from {checkpoint + 1} to {head}")],
            )
        await connection.execute(_NOTE_SKIP.format(schema=schema), name, position, reason, actor)
        await connection.execute(_RETRY.format(schema=schema), name, position)
