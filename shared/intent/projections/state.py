"""What the database stores about the projections: which generation is read, and its checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from intent_contracts.intent.v1 import ProjectionStatus, SkippedEvent

from intent.errors import ConfigurationError
from intent.projections.database import ProjectionDatabase
from intent.read_models.definition import Definition
from intent.store.roles import quoted

__all__ = ["ProjectionState", "read_state", "read_statuses"]


@dataclass(frozen=True, slots=True)
class ProjectionState:
    """The state of a projection in the database.

    Attributes:
        generation: The generation that is read.
        position: Its checkpoint.
        fits: True when this code may write that generation: its version and shape are the same.
        declared: True when the last migration declared this code's version and shape.
        declared_version: The version that the last migration declared.
        rebuilding: True when a newer generation is being built.
    """

    generation: int
    position: int
    fits: bool
    declared: bool
    declared_version: int
    rebuilding: bool


_STATE = """
select p.generation, g.position, p.version as declared_version,
    g.version = $2 and g.shape = $3::jsonb as fits,
    p.version = $2 and p.shape = $3::jsonb as declared,
    p.last_generation > p.generation and exists (
        select from {schema}.projection_generations n
        where n.projection = p.name and n.generation > p.generation
    ) as rebuilding
from {schema}.projections p
join {schema}.projection_generations g on g.projection = p.name and g.generation = p.generation
where p.name = $1
"""

_GENERATIONS = """
select g.*, g.generation = p.generation as live
from {schema}.projection_generations g join {schema}.projections p on p.name = g.projection
where g.projection = any($1::text[]) order by g.generation
"""

_SKIPS = "select * from {schema}.projection_skips where projection = any($1::text[]) order by position"


async def read_state(database: ProjectionDatabase, definition: Definition) -> ProjectionState:
    """Return the state of a projection.

    Raises:
        ConfigurationError: No migration has declared it.
        StoreUnavailable: The database is unavailable.
    """
    statement = _STATE.format(schema=quoted(database.schema))
    shape = definition.shape.declaration
    async with database.transaction() as connection:
        record = await connection.fetchrow(statement, definition.name, definition.version, shape)
    if record is None:
        raise ConfigurationError(
            f"the projection {definition.name} has no table yet; run `intent migrate {database.schema}`"
        )
    return ProjectionState(**record)


async def read_statuses(
    database: ProjectionDatabase, names: Sequence[str], head: int
) -> list[ProjectionStatus]:
    """Return the status of each of these projections, in this order.

    Raises:
        StoreUnavailable: The database is unavailable.
    """
    schema = quoted(database.schema)
    async with database.transaction() as connection:
        generations = await connection.fetch(_GENERATIONS.format(schema=schema), list(names))
        skips = await connection.fetch(_SKIPS.format(schema=schema), list(names))
    statuses = {name: ProjectionStatus(name=name) for name in names}
    for record in generations:
        status = statuses[record["projection"]]
        if record["live"]:
            _set_live(status, record, head)
        else:
            _set_rebuilding(status, record)
    for record in skips:
        statuses[record["projection"]].skipped.append(_skipped_event(record))
    return list(statuses.values())


def _set_live(status: ProjectionStatus, record: Any, head: int) -> None:
    status.generation = record["generation"]
    status.position = record["position"]
    status.lag = max(0, head - record["position"])
    _set_failure(status, record)


def _set_rebuilding(status: ProjectionStatus, record: Any) -> None:
    status.rebuilding = True
    status.rebuild_position = record["position"]
    if record["last_error"] and not status.last_error:
        _set_failure(status, record)
        status.last_error = f"the rebuild fails: {record['last_error']}"


def _set_failure(status: ProjectionStatus, record: Any) -> None:
    status.last_error = record["last_error"]
    status.failing_position = record["failing_position"]
    status.attempts = record["attempts"]
    retry_at: datetime | None = record["retry_at"]
    if retry_at is not None:
        status.retry_at.FromDatetime(retry_at)


def _skipped_event(record: Any) -> SkippedEvent:
    skip = SkippedEvent(position=record["position"], reason=record["reason"], actor=record["actor"])
    skip.skipped_at.FromDatetime(record["skipped_at"])
    return skip
