"""Read messages from JSON and write them as JSON, with errors that say what to fix."""

from __future__ import annotations

import difflib
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from intent.cli.exits import UsageError

if TYPE_CHECKING:
    from intent_contracts.intent.v1 import RecordedEvent

    from intent.contracts import Registry

__all__ = ["event_fields", "event_to_dict", "find_type", "message_of", "read_json", "to_dict", "to_json"]

C = TypeVar("C")

_TEXT: Final = {FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES}
_REAL: Final = {FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_FLOAT}


def find_type(name: str, known: Mapping[str, C], kind: str) -> C:
    """Return what a name stands for: a full name, or a last part that is unique.

    Raises:
        UsageError: Nothing or several things have the name; the message suggests the nearest.
    """
    if name in known:
        return known[name]
    ending = [full for full in known if full.rpartition(".")[2] == name]
    if len(ending) == 1:
        return known[ending[0]]
    if ending:
        raise UsageError(f"{name} could be {' or '.join(sorted(ending))}; give the full name")
    near = difflib.get_close_matches(name, _full_and_short(known), n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(sorted(known))}"
    raise UsageError(f"there is no {kind} {name}; {hint}")


def _full_and_short(known: Iterable[str]) -> list[str]:
    return [part for full in known for part in (full, full.rpartition(".")[2])]


def read_json(argument: str | None, file: Path | None) -> str:
    """Return the JSON that a command was given: as an argument, in a file, or on standard input.

    Raises:
        UsageError: There is none or more than one, or the file cannot be read.
    """
    if argument is not None and file is not None:
        raise UsageError("give the JSON as an argument or with -f, not both")
    if argument is not None and argument != "-":
        return argument
    if file is not None and str(file) != "-":
        try:
            return file.read_text()
        except OSError as error:
            raise UsageError(f"{file} cannot be read: {error.strerror}") from None
    if argument is None and file is None and sys.stdin.isatty():
        raise UsageError("give the JSON as an argument, with -f FILE, or on standard input")
    return sys.stdin.read()


def message_of(kind: type[Message], text: str) -> Message:
    """Return the message that JSON describes.

    Raises:
        UsageError: The text is not JSON, or does not fit; the message names every field that does not.
    """
    name = kind.DESCRIPTOR.full_name
    try:
        value = json.loads(text or "{}")
    except json.JSONDecodeError as error:
        raise UsageError(
            f"this is not JSON: {error.msg} in line {error.lineno}, column {error.colno}"
        ) from None
    problems = list(_problems(value, cast("Descriptor", kind.DESCRIPTOR), ""))
    if problems:
        raise UsageError(f"this is not a valid {name}: " + "; ".join(problems))
    try:
        return json_format.ParseDict(value, kind())
    except json_format.ParseError as error:
        raise UsageError(f"this is not a valid {name}: {error}") from None


def to_dict(message: Message) -> dict[str, Any]:
    """Return a message as plain values, with the contract's own field names."""
    values: dict[str, Any] = json_format.MessageToDict(message, preserving_proto_field_name=True)
    return values


def to_json(message: Message) -> str:
    """Return a message as indented JSON, with the contract's own field names."""
    return json.dumps(to_dict(message), indent=2, ensure_ascii=False)


def event_fields(event: RecordedEvent, registry: Registry) -> dict[str, Any]:
    """Return the fields of a recorded event; only its size if its type is not known."""
    contract = registry.events.get(event.type)
    if contract is None:
        return {"bytes": len(event.data)}
    return to_dict(contract.message.FromString(event.data))


def event_to_dict(event: RecordedEvent, registry: Registry) -> dict[str, Any]:
    """Return a recorded event as plain values, with its fields instead of their bytes."""
    numbers = {"position": event.position, "version": event.version}
    return {**to_dict(event), **numbers, "data": event_fields(event, registry)}


def _problems(value: Any, message: Descriptor, path: str) -> Iterator[str]:
    """Yield a sentence for each part of a JSON value that does not fit a message."""
    if message.full_name.startswith("google.protobuf."):
        return
    if not isinstance(value, dict):
        yield f"{path or 'it'} must be an object, not {_described(value)}"
        return
    fields = {field.name: field for field in message.fields}
    by_json_name = {field.json_name: field for field in message.fields}
    for name, inner in value.items():
        field = fields.get(name) or by_json_name.get(name)
        if field is None:
            yield _unknown(f"{path}{name}", name, list(fields), message)
        elif inner is not None:
            yield from _field_problems(inner, field, f"{path}{name}")


def _unknown(path: str, name: str, fields: list[str], message: Descriptor) -> str:
    near = difflib.get_close_matches(name, fields, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    return f"there is no field {path}; {hint}{message.name} has: {', '.join(fields) or 'no fields'}"


def _field_problems(value: Any, field: FieldDescriptor, path: str) -> Iterator[str]:
    if _is_map(field):
        if not isinstance(value, dict):
            yield f"{path} must be an object, not {_described(value)}"
    elif field.is_repeated:
        if not isinstance(value, list):
            yield f"{path} must be a list, not {_described(value)}"
            return
        for index, inner in enumerate(value):
            yield from _value_problems(inner, field, f"{path}[{index}]")
    else:
        yield from _value_problems(value, field, path)


def _value_problems(value: Any, field: FieldDescriptor, path: str) -> Iterator[str]:
    if field.message_type is not None:
        yield from _problems(value, field.message_type, f"{path}." if isinstance(value, dict) else path)
        return
    wanted = _wanted(value, field)
    if wanted:
        yield f"{path} must be {wanted}, not {_described(value)}"


def _wanted(value: Any, field: FieldDescriptor) -> str:
    """Return what a value must be, if it does not fit; empty if it does."""
    if field.enum_type is not None:
        names = [entry.name for entry in field.enum_type.values]
        numbers = [entry.number for entry in field.enum_type.values]
        return "" if value in names or value in numbers else f"one of {', '.join(names)}"
    if field.type in _TEXT:
        return "" if isinstance(value, str) else "a string"
    if field.type == FieldDescriptor.TYPE_BOOL:
        return "" if isinstance(value, bool) else "true or false"
    if isinstance(value, bool):
        return "a number"
    if field.type in _REAL:
        return "" if _is_number(value, float) else "a number"
    return "" if _is_number(value, int) else "a whole number"


def _is_number(value: Any, kind: type[int] | type[float]) -> bool:
    """Return whether JSON holds such a number; proto's JSON writes large ones as strings."""
    if isinstance(value, str):
        try:
            kind(value)
        except ValueError:
            return False
        return True
    return isinstance(value, int) or (isinstance(value, float) and (kind is float or value.is_integer()))


def _is_map(field: FieldDescriptor) -> bool:
    message = field.message_type
    return bool(message is not None and message.GetOptions().map_entry)


def _described(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    kinds = ((str, "a string"), (int | float, "the number"), (list, "a list"), (dict, "an object"))
    description = next((text for kind, text in kinds if isinstance(value, kind)), "null")
    return f"{description} {json.dumps(value)[:40]}" if isinstance(value, str | int | float) else description
