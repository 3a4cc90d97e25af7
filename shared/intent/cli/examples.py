"""Make examples of messages from their contracts."""

from __future__ import annotations

from typing import Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from intent.cli.plain import is_map

__all__ = ["example"]

_DEPTH: Final = 6
_KNOWN_TEXTS: Final = {"currency": "EUR"}
_WELL_KNOWN: Final[dict[str, Any]] = {
    "Any": {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": "text"},
    "BoolValue": True,
    "BytesValue": "",
    "Duration": "1.500s",
    "FieldMask": "name",
    "ListValue": [],
    "StringValue": "text",
    "Struct": {},
    "Timestamp": "2026-01-31T12:00:00Z",
    "Value": "text",
    **{f"{kind}Value": 1 for kind in ("Double", "Float", "Int32", "Int64", "UInt32", "UInt64")},
}
"""How JSON writes the types of protobuf that it writes in a way of their own."""


def example(message: Descriptor, depth: int = _DEPTH) -> dict[str, Any]:
    """Return a value for each field of a message, as JSON would hold it.

    An example need not satisfy every rule of its contract; it is a form to fill in.
    """
    return {field.name: _value(field, depth) for field in message.fields} if depth else {}


def _value(field: FieldDescriptor, depth: int) -> Any:
    if is_map(field):
        return {}
    value = _single(field, depth)
    return [value] if field.is_repeated else value


def _single(field: FieldDescriptor, depth: int) -> Any:
    if field.message_type is not None:
        package, _, name = field.message_type.full_name.rpartition(".")
        if package == "google.protobuf" and name in _WELL_KNOWN:
            return _WELL_KNOWN[name]
        return example(field.message_type, depth - 1)
    if field.enum_type is not None:
        if field.enum_type.full_name == "google.protobuf.NullValue":
            return None
        return next((v.name for v in field.enum_type.values if v.number), field.enum_type.values[0].name)
    if field.type == FieldDescriptor.TYPE_STRING:
        return _KNOWN_TEXTS.get(field.name, f"{field.name.removesuffix('_id').replace('_', '-')}-1")
    if field.type == FieldDescriptor.TYPE_BOOL:
        return True
    return "" if field.type == FieldDescriptor.TYPE_BYTES else 1
