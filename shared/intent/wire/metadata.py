"""The metadata keys of a call, and functions that check their values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from uuid import UUID, uuid4

from intent.errors import InvalidCommand, Violation

__all__ = [
    "CAUSATION_ID",
    "COMMAND_ID",
    "CONSISTENCY",
    "CORRELATION_ID",
    "EXPECTED_VERSION",
    "MIN_POSITION",
    "POSITION",
    "TRACEPARENT",
    "applied_only",
    "command_id",
    "label",
    "malformed",
    "number",
    "traceparent",
]

COMMAND_ID: Final = "x-command-id"
CORRELATION_ID: Final = "x-correlation-id"
CAUSATION_ID: Final = "x-causation-id"
EXPECTED_VERSION: Final = "x-expected-version"
MIN_POSITION: Final = "x-min-position"
CONSISTENCY: Final = "x-consistency"
TRACEPARENT: Final = "traceparent"
POSITION: Final = "x-position"
"""In the trailers of a query's answer: the position that the read model had certainly reached."""

_LABEL: Final = re.compile(r"[\x21-\x7e]{1,128}", re.ASCII)
_NUMBER: Final = re.compile(r"[0-9]{1,18}", re.ASCII)
_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)

Metadata = Mapping[str, str]


def malformed(field: str, rule: str) -> InvalidCommand:
    """Return the error for a metadata value that breaks a rule, e.g. ``must be a UUID``."""
    return InvalidCommand(
        "METADATA_MALFORMED", f"the metadata {field} {rule}", violations=[Violation(field, rule, "metadata")]
    )


def command_id(metadata: Metadata) -> UUID:
    """Return the command's id; a new one when the caller sent none.

    Raises:
        InvalidCommand: It is not a UUID.
    """
    text = metadata.get(COMMAND_ID)
    if text is None:
        return uuid4()
    try:
        return UUID(text)
    except (ValueError, AttributeError, TypeError):
        raise malformed(COMMAND_ID, "must be a UUID") from None


def label(metadata: Metadata, field: str, default: str) -> str:
    """Return a value of 1 to 128 printable ASCII characters; `default` when it is absent or empty.

    Raises:
        InvalidCommand: The value is invalid.
    """
    text = metadata.get(field)
    if not text:
        return default
    if not _LABEL.fullmatch(text):
        raise malformed(field, "must be 1 to 128 printable ASCII characters without spaces")
    return text


def number(metadata: Metadata, field: str) -> int | None:
    """Return a number from 0 up, or None when it is absent.

    Raises:
        InvalidCommand: The value is invalid.
    """
    text = metadata.get(field)
    if text is None:
        return None
    if not _NUMBER.fullmatch(text):
        raise malformed(field, "must be a whole number from 0 up")
    return int(text)


def applied_only(metadata: Metadata) -> bool:
    """Return whether the caller wants its answer after the append, without waiting for read models.

    Raises:
        InvalidCommand: It asks for a consistency that does not exist.
    """
    text = metadata.get(CONSISTENCY)
    if text is None or text == "projected":
        return False
    if text == "applied":
        return True
    raise malformed(CONSISTENCY, "must be 'applied' or 'projected'")


def traceparent(metadata: Metadata) -> str:
    """Return the caller's W3C traceparent; empty when there is none or it is malformed.

    A malformed trace must not fail the call.
    """
    text = metadata.get(TRACEPARENT, "")
    return text if text and _TRACEPARENT.fullmatch(text) else ""
