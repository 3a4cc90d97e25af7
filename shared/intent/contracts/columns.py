"""Reads the columns of a read model: its key and what it can be filtered by."""

from __future__ import annotations

import re
from collections.abc import Callable

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from intent.contracts.options import column_fields

__all__ = ["read_columns"]

_TABLE = re.compile(r"[a-z][a-z0-9_]{0,39}")
_OWN_TABLES = frozenset(
    {
        "commands",
        "context_migrations",
        "events",
        "head",
        "intent_migrations",
        "projection_generations",
        "projection_skips",
        "projections",
        "snapshots",
    }
)
_OWN_COLUMNS = frozenset({"created_position", "data", "tenant", "updated_position"})
_COLUMN_TYPES = frozenset(
    {
        FieldDescriptor.CPPTYPE_BOOL,
        FieldDescriptor.CPPTYPE_ENUM,
        FieldDescriptor.CPPTYPE_INT32,
        FieldDescriptor.CPPTYPE_INT64,
        FieldDescriptor.CPPTYPE_STRING,
        FieldDescriptor.CPPTYPE_UINT32,
    }
)


def read_columns(
    message: Descriptor, table: str, problem: Callable[[str, str], None]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of the key fields and of the indexed fields.

    Args:
        message: The read model's row.
        table: The name of its table.
        problem: Called with the fault and the fix of each contradiction.
    """
    key, indexed = column_fields(message)
    if not key:
        problem("has no key", "mark the fields that identify a row with (intent.v1.key) = true")
    if not _TABLE.fullmatch(table):
        problem(f"has the table name {table!r}", "use at most 40 of a-z, 0-9 and _, beginning with a letter")
    if table in _OWN_TABLES:
        problem(
            f"has the table {table}, which the platform uses itself",
            "set another `table` in (intent.v1.read_model)",
        )
    for field in {field.name: field for field in (*key, *indexed)}.values():
        _check_column(field, problem)
    return tuple(field.name for field in key), tuple(field.name for field in indexed)


def _check_column(field: FieldDescriptor, problem: Callable[[str, str], None]) -> None:
    is_bytes = field.type == FieldDescriptor.TYPE_BYTES
    if field.is_repeated or is_bytes or field.cpp_type not in _COLUMN_TYPES:
        fault = f"has the key or index {field.name}, whose type cannot be a column"
        problem(fault, "use a single string, int32, int64, uint32, bool or enum field")
    if field.name in _OWN_COLUMNS:
        fault = f"has the key or index {field.name}, a column that the platform adds itself"
        problem(fault, "give the field another name")
