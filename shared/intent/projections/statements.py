"""The SQL of one generation of a read model's table: pure text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from intent.projections.folding import RowId, Upsert
from intent.projections.shape import Column, TableShape
from intent.store.roles import quoted

__all__ = ["GenerationStatements", "delete_arguments", "generation_statements", "quoted", "row_arguments"]


@dataclass(frozen=True, slots=True)
class GenerationStatements:
    """The statements for one table.

    Attributes:
        load: Locks the checkpoint ($1 projection, $2 generation) and returns it with the
            skipped positions up to $3 and the rows whose tenants are $4 and keys $5 and on.
        move: Moves the checkpoint and notes, or clears, a failure; $1 to $8.
        write: Does the same and writes rows, from one array per column, $9 and on.
        delete: Removes rows, from one array per key column.
    """

    load: str
    move: str
    write: str
    delete: str


@lru_cache(maxsize=256)
def generation_statements(schema: str, shape: TableShape, generation: int) -> GenerationStatements:
    """Returns the statements for a generation's table in a schema."""
    own = quoted(schema)
    table = f"{own}.{quoted(shape.generation(generation))}"
    move = _MOVE.format(schema=own)
    return GenerationStatements(
        load=_load(own, table, shape),
        move=move,
        write=f"with written as ({_upsert(table, shape, first=9)}) {move}",
        delete=_delete(table, shape),
    )


def row_arguments(shape: TableShape, upserts: Sequence[Upsert]) -> list[list[Any]]:
    """Returns the arguments of `GenerationStatements.write` from $9 on."""
    indexed = [[u.indexed[n] for u in upserts] for n in range(len(shape.indexed))]
    return [
        *delete_arguments(shape, [u.id for u in upserts]),
        *indexed,
        [u.data for u in upserts],
        [u.created_position for u in upserts],
        [u.updated_position for u in upserts],
    ]


def delete_arguments(shape: TableShape, ids: Sequence[RowId]) -> list[list[Any]]:
    """Returns the arguments of `GenerationStatements.delete`, and those after $3 of `load`."""
    keys = [[id_.key[n] for id_ in ids] for n in range(len(shape.key))]
    return [[id_.tenant for id_ in ids], *keys]


# The checkpoint is read after its lock, the rows by the statement's snapshot, which may be older
# when the lock was waited for. The caller goes on only when the checkpoint is where it left it;
# then nobody has written in between, and the rows are right.
_CHECKPOINT = """
with checkpoint as materialized (
    select position, attempts, failing_position, retry_at > clock_timestamp() as waits,
        extract(epoch from retry_at - clock_timestamp())::float8 as retry_in
    from {schema}.projection_generations where projection = $1 and generation = $2 for update
)
select c.*, array(
    select s.position from {schema}.projection_skips s
    where s.projection = $1 and s.position > c.position and s.position <= $3
) as skipped, wanted.ordinality, wanted.data, wanted.created_position
from checkpoint c left join (
    select keys.ordinality, r.data, r.created_position
    from unnest({arrays}) with ordinality as keys ({names}, ordinality)
    cross join lateral (
        select data, created_position from {table} t
        where ({columns}) = ({values}) limit 1
    ) r
) wanted on true
"""

_MOVE = """
update {schema}.projection_generations set
    position = $3, failing_position = $4, attempts = $5, last_error = $6,
    retry_at = clock_timestamp() + make_interval(secs => $7),
    worker = $8, worker_until = clock_timestamp() + interval '10 seconds'
where projection = $1 and generation = $2
"""


def _load(schema: str, table: str, shape: TableShape) -> str:
    names = ["k_tenant", *(f"k_{n}" for n in range(len(shape.key)))]
    return _CHECKPOINT.format(
        schema=schema,
        table=table,
        arrays=_arrays(["text", *(c.sql_type for c in shape.key)], first=4),
        names=", ".join(names),
        columns=", ".join(f"t.{name}" for name in _key_names(shape)),
        values=", ".join(f"keys.{name}" for name in names),
    )


def _upsert(table: str, shape: TableShape, first: int) -> str:
    types = ["text", *(c.sql_type for c in (*shape.key, *shape.indexed)), "bytea", "bigint", "bigint"]
    changing = [*_names(shape.indexed), "data", "created_position", "updated_position"]
    updates = ", ".join(f"{name} = excluded.{name}" for name in changing)
    return (
        f"insert into {table} ({', '.join([*_key_names(shape), *changing])}) "  # noqa: S608 - quoted names only
        f"select * from unnest({_arrays(types, first)}) "
        f"on conflict ({', '.join(_key_names(shape))}) do update set {updates}"
    )


def _delete(table: str, shape: TableShape) -> str:
    columns = _key_names(shape)
    aliases = [f"k_{n}" for n in range(len(columns))]
    arrays = _arrays(["text", *(c.sql_type for c in shape.key)])
    return (
        f"delete from {table} t using unnest({arrays}) as gone ({', '.join(aliases)}) "  # noqa: S608 - quoted names only
        f"where ({', '.join(f't.{c}' for c in columns)}) = ({', '.join(f'gone.{a}' for a in aliases)})"
    )


def _key_names(shape: TableShape) -> list[str]:
    return ["tenant", *_names(shape.key)]


def _names(columns: Iterable[Column]) -> list[str]:
    return [quoted(column.name) for column in columns]


def _arrays(types: Sequence[str], first: int = 1) -> str:
    return ", ".join(f"${n}::{type_}[]" for n, type_ in enumerate(types, first))
