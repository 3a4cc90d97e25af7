"""Reads the rows of one tenant from PostgreSQL, in one round trip each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import asyncpg
from google.protobuf.message import Message

from intent.contracts import Owner
from intent.errors import Unavailable
from intent.model import BoundContext, Page
from intent.model.reading import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE
from intent.read_models.definition import definitions_of
from intent.read_models.paging import Cursor, listing_digest, parse_token, token
from intent.read_models.shape import TableShape, column_value
from intent.store.postgres.connections import unavailable
from intent.store.postgres.pools import ConnectionPool
from intent.store.roles import quoted

__all__ = ["ReadModels"]

Row = TypeVar("Row", bound=Message)

_RETRY_MS = 1_000
_PAGE_BYTES = 3 * 1024 * 1024
"""The most bytes of the rows of a page; the answer that carries them may have 4 MiB."""


class ReadModels:
    """Reads read models with the rights of the query role; row level security guards each read.

    Args:
        pool: Connections of the query role, or of the service role.
        context: The context.
        schema: The schema of the context; by default its name.
    """

    def __init__(self, pool: ConnectionPool, context: BoundContext, *, schema: str | None = None) -> None:
        self._pool = pool
        self._schema = quoted(schema or context.name)
        self._shapes = {definition.shape.model: definition.shape for definition in definitions_of(context)}

    async def get(self, model: type[Row], tenant: str, *key: Any, owner: Owner | None = None) -> Row | None:
        """Return the row with this key, or None; see `NarrowingReader.get`."""
        shape = self._shapes[model]
        conditions = [f"v.{quoted(column.name)} = ${n}" for n, column in enumerate(shape.key, 2)]
        arguments = shape.key_values(key)
        if owner is not None:
            conditions.append(_owned(shape, owner, len(arguments) + 2))
            arguments = (*arguments, column_value(owner.subject))
        records = await self._fetch(self._statement(shape, conditions, limit=1), tenant, arguments)
        return model.FromString(records[0]["data"]) if records else None

    async def list(
        self,
        model: type[Row],
        tenant: str,
        *,
        where: Mapping[str, Any] | None = None,
        page_size: int = DEFAULT_PAGE_SIZE,
        page_token: str = "",
        owner: Owner | None = None,
    ) -> Page[Row]:
        """Return a page of the rows that match; see `NarrowingReader.list`."""
        shape = self._shapes[model]
        filters = _filters(shape, where or {})
        conditions = [f"v.{quoted(name)} = ${n}" for n, name in enumerate(filters, 2)]
        arguments = list(filters.values())
        if owner is not None:
            conditions.append(_owned(shape, owner, len(arguments) + 2))
            arguments.append(column_value(owner.subject))
            filters[f"owner by {', '.join(owner.fields)}"] = owner.subject
        digest = listing_digest(shape.table, tenant, filters)
        if page_token:
            cursor = parse_token(page_token, digest, shape)
            conditions.append(_after_cursor(shape, len(arguments) + 2))
            arguments += (cursor.created_position, *cursor.key)
        size = min(page_size, MAX_PAGE_SIZE) if page_size > 0 else DEFAULT_PAGE_SIZE
        statement = _within_bytes(self._statement(shape, conditions, limit=size + 1), _order(shape))
        records = (await self._fetch(statement, tenant, arguments))[:size]
        rows = [model.FromString(record["data"]) for record in records]
        more = bool(records) and records[0]["_rows_found"] > len(records)
        return Page(rows, token(digest, _cursor(shape, records[-1])) if more else "")

    def _statement(self, shape: TableShape, conditions: Sequence[str], limit: int) -> str:
        """Return a statement that sets the tenant ($1) and reads its rows.

        The rows are joined laterally to the call that sets the tenant, so they are looked for
        after it and only once; otherwise row level security would show nothing.
        """
        keys = "".join(f", v.{quoted(column.name)}" for column in shape.key)
        order = _order(shape)
        where = " and ".join(["v.tenant = own.tenant", *conditions])
        return (
            "select rows.* from (select set_config('intent.tenant', $1, true) as tenant offset 0) own "  # noqa: S608
            f"cross join lateral (select v.data, v.created_position{keys} "
            f"from {self._schema}.{quoted(shape.table)} v where {where} order by {order} limit {limit}) rows "
            f"order by {order}"
        )

    async def _fetch(self, statement: str, tenant: str, arguments: Sequence[Any]) -> Sequence[Any]:
        try:
            with unavailable(asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError):
                records: Sequence[Any] = await self._pool.fetch(statement, tenant, *arguments)
                return records
        except (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError) as error:
            raise Unavailable(
                "READ_MODEL_NOT_BUILT",
                "the read model does not have this shape yet; it is being rebuilt",
                retry_after_ms=_RETRY_MS,
            ) from error


def _filters(shape: TableShape, where: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of the columns to filter by."""
    unknown = sorted(where.keys() - shape.columns.keys())
    if unknown:
        name = shape.model.DESCRIPTOR.full_name
        known = ", ".join(shape.columns)
        raise ValueError(f"{name} cannot be filtered by {', '.join(unknown)}, only by its columns: {known}")
    return {
        name: column_value(value)
        for name, value in where.items()
        if value is not None and value != "" and not (shape.columns[name].is_enum and value == 0)
    }


def _owned(shape: TableShape, owner: Owner, parameter: int) -> str:
    """Return the condition for the rows of an owner, whose subject is a parameter of the statement.

    Raises:
        ValueError: The table has no such column.
    """
    unknown = sorted(set(owner.fields) - shape.columns.keys())
    if unknown or not owner.fields:
        name = shape.model.DESCRIPTOR.full_name
        raise ValueError(
            f"a query reads {name} for callers who may read only what is their own, and {name} has no "
            f"column {', '.join(unknown)} that says whose a row is: mark one with (intent.v1.indexed) = true"
        )
    columns = [f"v.{quoted(name)} = ${parameter}" for name in owner.fields]
    return f"({' or '.join(columns)})"


def _order(shape: TableShape) -> str:
    return "created_position desc" + "".join(f", {quoted(column.name)}" for column in shape.key)


def _within_bytes(statement: str, order: str) -> str:
    """Return a statement for the first rows of another one that fit into a page; one at least.

    It also returns how many rows the other one has.
    """
    return (
        "select * from (select listed.*, octet_length(data) as _row_bytes, count(*) over () as _rows_found, "  # noqa: S608
        f"sum(octet_length(data)) over (order by {order}) as _bytes_so_far from ({statement}) listed) page "
        f"where _bytes_so_far <= {_PAGE_BYTES} or _bytes_so_far = _row_bytes order by {order}"
    )


def _after_cursor(shape: TableShape, first: int) -> str:
    """Return the condition for the rows after a cursor whose values start at parameter ``$first``."""
    keys = ", ".join(f"v.{quoted(column.name)}" for column in shape.key)
    values = ", ".join(f"${n}" for n in range(first + 1, first + 1 + len(shape.key)))
    created = f"v.created_position {{}} ${first}"
    return f"{created.format('<=')} and ({created.format('<')} or ({keys}) > ({values}))"


def _cursor(shape: TableShape, record: Any) -> Cursor:
    return Cursor(record["created_position"], tuple(record[column.name] for column in shape.key))
