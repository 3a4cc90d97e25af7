"""Pages of a list: cut to what an answer may hold, and continued by a token."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeVar

from google.protobuf.message import Message

from intent.errors import InvalidCommand, Violation

__all__ = ["PAGE_BYTES", "fitting", "page_token", "parse_page_token"]

M = TypeVar("M", bound=Message)

PAGE_BYTES: Final = 3 * 1024 * 1024
"""The most bytes of the rows of a page; an answer may have 4 MiB."""

_FIELD: Final = "page_token"


def fitting(messages: Iterable[M]) -> list[M]:
    """Return the messages from the first on that fit into a page together; one at least."""
    page: list[M] = []
    size = 0
    for message in messages:
        # With its tag and length, as an element of a list.
        size += message.ByteSize() + 8
        if page and size > PAGE_BYTES:
            break
        page.append(message)
    return page


def page_token(last: Sequence[str | int]) -> bytes:
    """Return the token of the page after a row.

    Args:
        last: The values by which the list is sorted, of the last row.
    """
    return json.dumps(last, separators=(",", ":")).encode()


def parse_page_token(token: bytes, kinds: Sequence[type]) -> list[Any] | None:
    """Return the values of the row after which a page starts; None: the list starts with it.

    Args:
        token: The token.
        kinds: The types of the values.

    Raises:
        InvalidCommand: It is no token of such a list.
    """
    if not token:
        return None
    try:
        values: list[Any] = json.loads(token)
        "".join(value for value in values if isinstance(value, str)).encode()
    except (ValueError, TypeError, RecursionError):
        raise _invalid() from None
    known = isinstance(values, list) and list(map(type, values)) == list(kinds)
    if not known or any(isinstance(value, int) and not 0 <= value < 1 << 63 for value in values):
        raise _invalid()
    return values


def _invalid() -> InvalidCommand:
    rule = "must be the token of the page before, for the same list"
    return InvalidCommand(
        "PAGE_TOKEN_INVALID", f"the page token {rule}", violations=[Violation(_FIELD, rule)]
    )
