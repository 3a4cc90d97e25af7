"""The calls of one generation's functions, which the database generated from the shape of its table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from intent.read_models.folding import Changes, RowId
from intent.read_models.shape import TableShape
from intent.store.roles import quoted

__all__ = ["key_arguments", "load_statement", "row_arguments", "write_statement"]

_CHECKPOINT = 7
"""How many arguments of a write concern the checkpoint; the first is where it is."""


def load_statement(schema: str, shape: TableShape, generation: int) -> str:
    """Return the call that reads the checkpoint and rows; it takes the page's end and `key_arguments`."""
    function = quoted(f"{shape.generation(generation)}_load")
    return f"select * from {quoted(schema)}.{function}({_placeholders(2 + len(shape.key))})"  # noqa: S608


def write_statement(schema: str, shape: TableShape, generation: int) -> str:
    """Return the call that moves the checkpoint and writes rows.

    It takes where the checkpoint is and what it becomes, then `row_arguments`, then the projection,
    the end of the page and the skips that were known when it was folded. It writes nothing, and
    returns false, when the checkpoint has moved or another event of the page is to be skipped. The last
    argument is the incarnation of the log that the page was read from; it fails in another.
    """
    own = quoted(schema)
    function = quoted(f"{shape.generation(generation)}_write")
    count = _CHECKPOINT + len(shape.columns) + len(shape.key) + 5
    projection = f"{own}.in_incarnation(${count + 4}, ${count + 1}::text)"
    allowed = f"{own}.projection_may_write({projection}, {generation}, $1, ${count + 2}, ${count + 3})"
    return f"select case when {allowed} then {own}.{function}({_placeholders(count)}) else false end"


def key_arguments(shape: TableShape, ids: Sequence[RowId]) -> list[list[Any]]:
    """Return one array of tenants and one for each column of the key."""
    return [[id_.tenant for id_ in ids], *([id_.key[n] for id_ in ids] for n in range(len(shape.key)))]


def row_arguments(shape: TableShape, changes: Changes) -> list[list[Any]]:
    """Return one array for each column of the rows to write, then the keys of those to remove."""
    upserts = changes.upserts
    return [
        *key_arguments(shape, [u.id for u in upserts]),
        *([u.indexed[n] for u in upserts] for n in range(len(shape.indexed))),
        [u.data for u in upserts],
        [u.created_position for u in upserts],
        [u.updated_position for u in upserts],
        *key_arguments(shape, changes.deletes),
    ]


def _placeholders(count: int) -> str:
    return ", ".join(f"${n}" for n in range(1, count + 1))
