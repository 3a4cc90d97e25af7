"""The metadata keys of a call, and functions that check their values."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final
from uuid import UUID

from intent.errors import InvalidCommand, Violation
from intent.ids import new_id
from intent.origin import NO_TRACE, TraceContext

__all__ = [
    "CAUSATION_ID",
    "COMMAND_ID",
    "CONSISTENCY",
    "CORRELATION_ID",
    "EPOCH",
    "EXPECTED_VERSION",
    "MIN_POSITION",
    "POSITION",
    "TRACEPARENT",
    "TRACESTATE",
    "applied_only",
    "command_id",
    "label",
    "malformed",
    "number",
    "require_single",
    "trace_context",
]

COMMAND_ID: Final = "x-command-id"
CORRELATION_ID: Final = "x-correlation-id"
CAUSATION_ID: Final = "x-causation-id"
EXPECTED_VERSION: Final = "x-expected-version"
MIN_POSITION: Final = "x-min-position"
EPOCH: Final = "x-epoch"
"""The epoch to which a position belongs: that of `MIN_POSITION`, or in the trailers that of `POSITION`."""
CONSISTENCY: Final = "x-consistency"
TRACEPARENT: Final = "traceparent"
TRACESTATE: Final = "tracestate"
POSITION: Final = "x-position"
"""In the trailers of a query's answer: the position that the read model had certainly reached."""

_LABEL: Final = re.compile(r"[\x21-\x7e]{1,128}", re.ASCII)
_NUMBER: Final = re.compile(r"[0-9]{1,18}", re.ASCII)
_TRACEPARENT: Final = re.compile(
    r"(?P<version>(?!ff)[0-9a-f]{2})-(?P<ids>(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16})"
    r"-(?P<flags>[0-9a-f]{2})(?P<more>-.*)?",
    re.ASCII,
)
_STATE_LENGTH: Final = 512
_STATE_MEMBERS: Final = 32
_STATE_MEMBER: Final = re.compile(
    r"([a-z][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13})"
    r"=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]",
    re.ASCII,
)

_SINGLE: Final = frozenset(
    {
        "authorization",
        "x-actor",
        "x-roles",
        "x-tenant-id",
        CAUSATION_ID,
        COMMAND_ID,
        CONSISTENCY,
        CORRELATION_ID,
        EPOCH,
        EXPECTED_VERSION,
        MIN_POSITION,
    }
)
"""Keys that say who calls or what a call means."""

Metadata = Mapping[str, str]


def malformed(field: str, rule: str) -> InvalidCommand:
    """Return the error for a metadata value that breaks a rule, e.g. ``must be a UUID``."""
    return InvalidCommand(
        "METADATA_MALFORMED", f"the metadata {field} {rule}", violations=[Violation(field, rule, "metadata")]
    )


def require_single(pairs: Iterable[tuple[str, str | bytes]]) -> None:
    """Check that what says who calls, or what the call means, was sent once.

    Behind a proxy that adds its own value, the caller's could win otherwise.

    Raises:
        InvalidCommand: A key was sent more than once.
    """
    times = Counter(key for key, _ in pairs if key in _SINGLE)
    for key, count in times.items():
        if count > 1:
            raise malformed(key, f"was sent {count} times; send it once")


def command_id(metadata: Metadata) -> UUID:
    """Return the command's id; a new one when the caller sent none.

    Raises:
        InvalidCommand: It is not a UUID.
    """
    text = metadata.get(COMMAND_ID)
    if text is None:
        return new_id()
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


def trace_context(pairs: Iterable[tuple[str, str | bytes]]) -> TraceContext:
    """Return the caller's W3C trace context, without what is malformed.

    A malformed trace must not fail the call. A state may come in several parts, and means nothing
    without a traceparent; two traceparents mean nothing either.
    """
    parents, states = [], []
    for key, value in pairs:
        if key == TRACEPARENT and isinstance(value, str):
            parents.append(value)
        elif key == TRACESTATE and isinstance(value, str):
            states.append(value)
    parent = _traceparent(parents[0]) if len(parents) == 1 else ""
    if not parent:
        return NO_TRACE
    return TraceContext(parent, _trace_state(",".join(states)) if states else "")


def _traceparent(text: str) -> str:
    """Return a W3C traceparent as one of version 00; empty when it is malformed.

    A later version may have more parts and flags than are known here; they are dropped.
    """
    form = _TRACEPARENT.fullmatch(text)
    if form is None or (form["version"] == "00" and form["more"]):
        return ""
    if form["version"] == "00":
        return text
    return f"00-{form['ids']}-{int(form['flags'], 16) & 1:02x}"


def _trace_state(text: str) -> str:
    """Return a W3C tracestate; empty when it is too long to be carried on, or any part is malformed."""
    if len(text) > _STATE_LENGTH:
        return ""
    members = [stripped for member in text.split(",") if (stripped := member.strip(" \t"))]
    forms = [_STATE_MEMBER.fullmatch(member) for member in members]
    keys = {form[1] for form in forms if form is not None}
    # A key may come once only.
    return ",".join(members) if len(keys) == len(members) <= _STATE_MEMBERS else ""
