"""Walking over the values of a message, with their paths."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

__all__ = ["items_of", "messages_in"]


def messages_in(message: Descriptor) -> Iterator[Descriptor]:
    """Yield a message and all messages that it has in it, however deep, each once."""
    seen: set[str] = set()
    pending = [message]
    while pending:
        current = pending.pop()
        if current.full_name not in seen:
            seen.add(current.full_name)
            yield current
            pending += [field.message_type for field in current.fields if field.message_type is not None]


def items_of(field: FieldDescriptor, value: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yield each value of a field with its path, e.g. ``lines[2]``; of a map the keys too.

    Args:
        field: The field.
        value: Its value: of a repeated field or a map all of it.
        name: The path of the field.
    """
    if not field.is_repeated:
        yield name, value
    elif hasattr(value, "items"):
        for key, item in value.items():
            yield f"{name}[{key!r}]", key
            yield f"{name}[{key!r}]", item
    else:
        yield from ((f"{name}[{index}]", item) for index, item in enumerate(value))
