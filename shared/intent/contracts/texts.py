"""Texts, which must not contain NUL: PostgreSQL cannot store it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from intent.contracts.walking import items_of, messages_in
from intent.errors import Violation

__all__ = ["may_contain_nul", "nul_violations"]


def may_contain_nul(message: Message, data: bytes) -> bool:
    """Return whether a text in a message may contain NUL, at a cost that does not depend on its elements.

    Args:
        message: The message.
        data: Its encoding.
    """
    if b"\0" not in data:
        return False
    if _has_bytes(message.DESCRIPTOR):
        return True
    # Written out in C, where a walk over 100,000 elements would take a fifth of a second; what is left
    # of pairs of backslashes stood for itself.
    return "\\000" in str(message).replace("\\\\", "")


def nul_violations(message: Message, prefix: str = "") -> Iterator[Violation]:
    """Yield a violation for each text that contains NUL.

    Args:
        message: The message.
        prefix: What precedes the paths of its fields.
    """
    for field, value in message.ListFields():
        for path, item in items_of(field, value, prefix + field.name):
            if isinstance(item, Message):
                yield from nul_violations(item, f"{path}.")
            elif isinstance(item, str) and "\0" in item:
                yield Violation(path, "must not contain the character NUL", "string.nul")


@cache
def _has_bytes(message: Descriptor) -> bool:
    """Return whether a message has a field of bytes, however deep."""
    fields = (field for each in messages_in(message) for field in each.fields)
    return any(field.type == FieldDescriptor.TYPE_BYTES for field in fields)
