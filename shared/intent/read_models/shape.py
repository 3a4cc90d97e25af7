"""The table of a read model, derived from its contract: pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from intent.contracts import ReadModelContract

__all__ = ["Column", "TableShape", "column_value"]

_SQL_TYPES: Final[Mapping[int, str]] = MappingProxyType(
    {
        FieldDescriptor.CPPTYPE_STRING: "text",
        FieldDescriptor.CPPTYPE_BOOL: "boolean",
        FieldDescriptor.CPPTYPE_ENUM: "integer",
        FieldDescriptor.CPPTYPE_INT32: "integer",
        FieldDescriptor.CPPTYPE_INT64: "bigint",
        FieldDescriptor.CPPTYPE_UINT32: "bigint",
    }
)

_TEXT_LIMIT: Final = 255
_KEPT: Final = 200


@dataclass(frozen=True, slots=True)
class Column:
    """One field of a row that has a column of its own.

    Attributes:
        name: The name of the field and of the column.
        sql_type: The column's type.
        is_enum: True when the field is an enum, whose zero value means "not given".
    """

    name: str
    sql_type: str
    is_enum: bool = False


@dataclass(frozen=True)
class TableShape:
    """The columns of a read model's table, besides those that every such table has.

    Attributes:
        table: The name under which it is read.
        model: The message class of a row.
        key: The columns that, with the tenant, make the key.
        indexed: The further columns to filter by.
    """

    table: str
    model: type[Message]
    key: tuple[Column, ...]
    indexed: tuple[Column, ...]

    @classmethod
    def of(cls, contract: ReadModelContract) -> TableShape:
        """Return the table of a read model."""
        return cls(
            table=contract.table,
            model=contract.message,
            key=tuple(_column(contract.message, name) for name in contract.key),
            indexed=tuple(
                _column(contract.message, name) for name in contract.indexed if name not in contract.key
            ),
        )

    @cached_property
    def columns(self) -> Mapping[str, Column]:
        """Every column by its name, the key's first."""
        return MappingProxyType({column.name: column for column in (*self.key, *self.indexed)})

    @cached_property
    def declaration(self) -> str:
        """The shape as the canonical JSON document that the database stores."""
        document = {
            "table": self.table,
            "key": [{"name": c.name, "type": c.sql_type} for c in self.key],
            "indexed": [{"name": c.name, "type": c.sql_type} for c in self.indexed],
        }
        return json.dumps(document, sort_keys=True)

    def generation(self, number: int) -> str:
        """Return the name of the table that holds a generation of the rows."""
        return f"{self.table}__g{number}"

    def key_values(self, key: Sequence[Any]) -> tuple[Any, ...]:
        """Return the column values of a key.

        Raises:
            ValueError: It has more or fewer parts than the key has fields.
        """
        if len(key) != len(self.key):
            names = ", ".join(column.name for column in self.key)
            raise ValueError(f"a key of {self.model.DESCRIPTOR.full_name} has the parts {names}, not {key!r}")
        if len(key) == 1:
            return (column_value(key[0]),)
        return tuple([column_value(part) for part in key])

    def indexed_values(self, row: Message) -> list[Any]:
        """Return the values of the indexed columns of a row."""
        return [column_value(getattr(row, column.name)) for column in self.indexed]


def column_value(value: Any) -> Any:
    """Return a field's value as its column holds it.

    PostgreSQL stores no NUL in text and indexes no long text; such a text is replaced by its
    beginning and its digest, so that every value of a caller can be stored and found again. The
    row itself keeps the value unchanged.
    """
    if type(value) is str and (len(value) > _TEXT_LIMIT or "\0" in value):
        digest = hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        return value[:_KEPT].replace("\0", "\N{REPLACEMENT CHARACTER}") + "#" + digest
    return value


def _column(message: type[Message], name: str) -> Column:
    field = message.DESCRIPTOR.fields_by_name[name]
    is_enum = field.cpp_type == FieldDescriptor.CPPTYPE_ENUM
    return Column(field.name, _SQL_TYPES[field.cpp_type], is_enum)
