"""Messages as plain values and as JSON, whatever they hold."""

from __future__ import annotations

import base64
import json
import math
from typing import TYPE_CHECKING, Any, Final, cast

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError, Message

if TYPE_CHECKING:
    from intent_contracts.intent.v1 import RecordedEvent

    from intent.contracts import Registry

__all__ = ["event_fields", "event_to_dict", "is_map", "to_dict", "to_json"]

_LONG: Final = {FieldDescriptor.CPPTYPE_INT64, FieldDescriptor.CPPTYPE_UINT64}


def to_dict(message: Message) -> dict[str, Any]:
    """Return a message as plain values, with the contract's own field names.

    A message that proto's JSON cannot express, such as a time beyond the year 9999 or an `Any` of an unknown
    type, becomes an object with its own fields.
    """
    plain = _plain(message)
    return plain if isinstance(plain, dict) else {"value": plain}


def _plain(message: Message) -> Any:
    try:
        return json_format.MessageToDict(message, preserving_proto_field_name=True)
    # A listing continues, whatever one of its values is.
    except Exception:
        return {field.name: _plain_field(field, value) for field, value in message.ListFields()}


def _plain_field(field: FieldDescriptor, value: Any) -> Any:
    if is_map(field):
        inner = cast("Descriptor", field.message_type).fields_by_name["value"]
        return {_key(key): _plain_value(inner, value[key]) for key in value}
    if field.is_repeated:
        return [_plain_value(field, each) for each in value]
    return _plain_value(field, value)


def _plain_value(field: FieldDescriptor, value: Any) -> Any:
    if field.message_type is not None:
        return _plain(value)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return base64.b64encode(value).decode()
    if field.enum_type is not None:
        name = field.enum_type.values_by_number.get(value)
        return name.name if name else value
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return str(value) if field.cpp_type in _LONG else value


def _key(key: Any) -> str:
    return str(key).lower() if isinstance(key, bool) else str(key)


def to_json(message: Message) -> str:
    """Return a message as indented JSON, with the contract's own field names."""
    return json.dumps(to_dict(message), indent=2, ensure_ascii=False)


def event_fields(event: RecordedEvent, registry: Registry) -> dict[str, Any]:
    """Return the fields of a recorded event; of an unknown or malformed one what is known of its bytes."""
    contract = registry.events.get(event.type)
    if contract is None:
        return {"bytes": len(event.data)}
    try:
        return to_dict(contract.message.FromString(event.data))
    except DecodeError:
        return {"bytes": len(event.data), "malformed": base64.b64encode(event.data).decode()}


def event_to_dict(event: RecordedEvent, registry: Registry) -> dict[str, Any]:
    """Return a recorded event as plain values, with its fields instead of their bytes."""
    numbers = {"position": event.position, "version": event.version}
    return {**to_dict(event), **numbers, "data": event_fields(event, registry)}


def is_map(field: FieldDescriptor) -> bool:
    """Return whether a field is a map."""
    message = field.message_type
    return bool(message is not None and message.GetOptions().map_entry)
