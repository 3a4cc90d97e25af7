"""The tokens by which a listing continues: bound to what is listed, opaque to callers."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from intent.errors import InvalidCommand, Violation
from intent.read_models.shape import TableShape

__all__ = ["Cursor", "listing_digest", "parse_token", "token"]

_UNSTORABLE: Final = re.compile("[\0\ud800-\udfff]")
_BITS: Final = {"integer": 31, "bigint": 63}


class Cursor(NamedTuple):
    """The last row of a page.

    Attributes:
        created_position: Its created position.
        key: Its key.
    """

    created_position: int
    key: tuple[Any, ...]


def listing_digest(table: str, tenant: str, where: Mapping[str, Any]) -> str:
    """Return what a token is bound to: the listing's table, tenant and filters."""
    listing = json.dumps([table, tenant, sorted(where.items())], separators=(",", ":"))
    return hashlib.sha256(listing.encode()).hexdigest()[:16]


def token(digest: str, cursor: Cursor) -> str:
    """Return the token of the page after a row."""
    document = json.dumps([digest, cursor.created_position, list(cursor.key)], separators=(",", ":"))
    return base64.urlsafe_b64encode(document.encode()).decode().rstrip("=")


def parse_token(text: str, digest: str, shape: TableShape) -> Cursor:
    """Return the row after which a page begins.

    Raises:
        InvalidCommand: The token was not made by `token`, or was made for another listing.
    """
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        listing, position, key = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (UnicodeError, binascii.Error, ValueError, TypeError, RecursionError):
        raise _invalid("is not a token of this listing") from None
    if listing != digest:
        raise _invalid("belongs to a listing with other filters; keep the filters of the first page")
    if not _is_row(position, key, shape):
        raise _invalid("is not a token of this listing")
    return Cursor(position, tuple(key))


def _is_row(position: Any, key: Any, shape: TableShape) -> bool:
    return (
        _fits(position, "bigint")
        and position >= 0
        and isinstance(key, list)
        and len(key) == len(shape.key)
        and all(_fits(value, column.sql_type) for value, column in zip(key, shape.key, strict=True))
    )


def _fits(value: Any, sql_type: str) -> bool:
    """Return whether a column of this type may hold a value."""
    if sql_type == "text":
        return isinstance(value, str) and not _UNSTORABLE.search(value)
    if sql_type == "boolean":
        return isinstance(value, bool)
    limit = 1 << _BITS[sql_type]
    return type(value) is int and -limit <= value < limit


def _invalid(description: str) -> InvalidCommand:
    violation = Violation("page_token", description, "page_token")
    return InvalidCommand("PAGE_TOKEN_INVALID", "the page token cannot be used", violations=[violation])
