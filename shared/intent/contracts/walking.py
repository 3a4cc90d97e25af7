"""Walking over the values of a message, with their paths."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

__all__ = ["items_of"]


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
