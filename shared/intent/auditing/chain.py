"""The digests of a chain, computed outside the database that is checked.

A row is encoded as PostgreSQL's function ``record_send`` encodes it: the number of its columns, and for each
the id of its type, its length and its value, as the binary protocol sends it. So no two rows have the same
encoding.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from typing import Any, Final, NamedTuple

__all__ = ["ENCODING", "MARK", "PARTS", "TIME", "beginning", "link_digest", "row_digest"]

ENCODING: Final = 1
"""The only encoding of rows so far."""
MARK: Final = 4
"""How many bytes of the digest of each row a link keeps."""
_NULL: Final = -1
"""The length of a value that is null: none is recorded so, but a row may have been changed to it."""


class _Type(NamedTuple):
    """How a column is encoded.

    Attributes:
        oid: The id of its type in PostgreSQL.
        encode: Returns the bytes of a value.
    """

    oid: int
    encode: Callable[[Any], bytes]


_LONG: Final = _Type(20, struct.Struct(">q").pack)
_INTEGER: Final = _Type(23, struct.Struct(">i").pack)
_TEXT: Final = _Type(25, str.encode)
_BYTES: Final = _Type(17, bytes)
_UUID: Final = _Type(2950, lambda value: value.bytes)
TIME: Final = _Type(1184, bytes)
"""Times, whose values are given as PostgreSQL sends them: eight bytes."""

PARTS: Final[Mapping[str, Mapping[str, _Type]]] = {
    "events": {
        "position": _LONG,
        "tenant": _TEXT,
        "aggregate_type": _TEXT,
        "aggregate_id": _TEXT,
        "version": _LONG,
        "event_id": _UUID,
        "type": _TEXT,
        "schema_version": _INTEGER,
        "data": _BYTES,
        "command_id": _UUID,
        "correlation_id": _TEXT,
        "causation_id": _TEXT,
        "actor": _TEXT,
        "traceparent": _TEXT,
        "recorded_at": TIME,
        "tracestate": _TEXT,
    },
    "audit": {
        "position": _LONG,
        "tenant": _TEXT,
        "kind": _TEXT,
        "method": _TEXT,
        "actor": _TEXT,
        "peer": _TEXT,
        "reason": _TEXT,
        "target": _TEXT,
        "correlation_id": _TEXT,
        "times": _INTEGER,
        "since": TIME,
        "recorded_at": TIME,
    },
}
"""What is chained, with the columns in the order of `ENCODING`."""


def row_digest(of: str, row: Mapping[str, Any]) -> bytes:
    """Return the digest of a row by itself.

    Args:
        of: Where it is recorded: a key of `PARTS`.
        row: Its values by column.
    """
    columns = PARTS[of]
    parts = [struct.pack(">i", len(columns))]
    for name, kind in columns.items():
        value = row[name]
        if value is None:
            parts.append(struct.pack(">ii", kind.oid, _NULL))
        else:
            encoded = kind.encode(value)
            parts += (struct.pack(">ii", kind.oid, len(encoded)), encoded)
    return sha256(b"".join(parts)).digest()


def beginning(of: str, after: int) -> bytes:
    """Return the digest of a chain without rows, which begins after a position."""
    return sha256(f"intent chain 1 of {of} after {after}".encode()).digest()


def link_digest(before: bytes, first: int, last: int, digests: Iterable[bytes]) -> bytes:
    """Return the digest of a link.

    Args:
        before: The digest of the link before.
        first: The position of its first row.
        last: That of its last row.
        digests: The digests of its rows, in order.
    """
    return sha256(before + struct.pack(">qq", first, last) + b"".join(digests)).digest()
