"""Timestamps and durations, which can hold values that are none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from intent.contracts.walking import items_of, messages_in
from intent.errors import Violation

__all__ = ["time_violations"]

_FIRST: Final = -62_135_596_800
_LAST: Final = 253_402_300_799
_LONGEST: Final = 315_576_000_000
_NANOS: Final = 1_000_000_000
_TIMES: Final = frozenset({Timestamp.DESCRIPTOR.full_name, Duration.DESCRIPTOR.full_name})


def time_violations(message: Message, prefix: str = "") -> Iterator[Violation]:
    """Yield a violation for each time in a message that no clock or calendar can show.

    Such a value has no form in JSON, and most languages cannot convert it.

    Args:
        message: The message.
        prefix: What precedes the paths of its fields.
    """
    for field in _fields_with_times(message.DESCRIPTOR):
        if not (field.is_repeated or message.HasField(field.name)):
            continue
        for path, item in items_of(field, getattr(message, field.name), prefix + field.name):
            if not isinstance(item, Message):
                continue
            kind = item.DESCRIPTOR.full_name
            if kind not in _TIMES:
                yield from time_violations(item, f"{path}.")
            elif not _valid(item, kind):
                yield _violation(path, kind)


def _valid(time: Message, kind: str) -> bool:
    seconds: int = time.seconds  # type: ignore[attr-defined]
    nanos: int = time.nanos  # type: ignore[attr-defined]
    if kind == Timestamp.DESCRIPTOR.full_name:
        return _FIRST <= seconds <= _LAST and 0 <= nanos < _NANOS
    return abs(seconds) <= _LONGEST and abs(nanos) < _NANOS and seconds * nanos >= 0


def _violation(path: str, kind: str) -> Violation:
    if kind == Timestamp.DESCRIPTOR.full_name:
        rule = "must be between 0001-01-01T00:00:00Z and 9999-12-31T23:59:59.999999999Z"
        return Violation(path, rule, "timestamp.range")
    rule = "must be at most 10,000 years, with seconds and nanos of the same sign"
    return Violation(path, rule, "duration.range")


@cache
def _fields_with_times(message: Descriptor) -> Sequence[FieldDescriptor]:
    """Return the fields of a message that are times or have times in them, however deep."""
    return [
        field
        for field in message.fields
        if field.message_type is not None
        and any(each.full_name in _TIMES for each in messages_in(field.message_type))
    ]
