"""Records that a projection is to skip an event."""

from __future__ import annotations

from collections.abc import Sequence

from intent.errors import InvalidCommand, Violation
from intent.projections.database import ProjectionDatabase
from intent.store.roles import quoted

__all__ = ["note_skip"]

_CHECKPOINTS = """
select position, failing_position from {schema}.projection_generations
where projection = $1 order by generation for update
"""

_NOTE_SKIP = """
insert into {schema}.projection_skips (projection, position, reason, actor) values ($1, $2, $3, $4)
on conflict (projection, position) do nothing
"""

_RETRY = """
update {schema}.projection_generations set retry_at = null where projection = $1 and failing_position = $2
"""


async def note_skip(
    database: ProjectionDatabase,
    name: str,
    position: int,
    head: int,
    reason: str,
    actor: str,
    *,
    force: bool = False,
) -> None:
    """Record a skip, and let a failing projection try again at once.

    A skip counts for the generation that is read and for every later one. It is recorded under the
    lock of the checkpoints, which a write of rows takes too: an event is applied or skipped, never both.

    Args:
        database: Where the projections are.
        name: The projection.
        position: The event's position.
        head: The position of the log.
        reason: Why.
        actor: Who decided it.
        force: True to skip an event on which no generation fails.

    Raises:
        InvalidCommand: Every generation has applied the event, or it does not exist, or none fails
            on it and `force` is False.
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
        failing = sorted({g["failing_position"] for g in generations} - {0})
        if not force and position not in failing:
            raise _not_failing(name, position, failing)
        await connection.execute(_NOTE_SKIP.format(schema=schema), name, position, reason, actor)
        await connection.execute(_RETRY.format(schema=schema), name, position)


def _not_failing(name: str, position: int, failing: Sequence[int]) -> InvalidCommand:
    """Return the error for a position that may be a slip."""
    where = f"fails at position {' and '.join(map(str, failing))}" if failing else "does not fail now"
    return InvalidCommand(
        "EVENT_NOT_FAILING",
        f"{name} {where}, so skipping the event at {position} would leave out one that it may well "
        "apply; repeat the request with `force` (--force) if that is what you want",
        violations=[Violation("position", "must be the failing position, or `force` must be set")],
    )
