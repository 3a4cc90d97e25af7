"""Read messages from JSON, with errors that say what to fix."""

from __future__ import annotations

import difflib
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Final, TypeVar, cast

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from intent.cli.exits import UsageError
from intent.cli.plain import is_map

__all__ = ["find_type", "message_of", "read_json"]

C = TypeVar("C")

_TEXT: Final = {FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES}
_REAL: Final = {FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_FLOAT}
_MOST_BYTES: Final = 64 << 20
_MOST_LEVELS: Final = 100
"""How deep messages may be nested, by protobuf itself."""
_TOO_DEEP: Final = f"this is nested more than {_MOST_LEVELS} levels deep, which no message may be"


def find_type(
    name: str,
    known: Mapping[str, C],
    kind: str,
    *,
    elsewhere: Iterable[str] = (),
    instead: str = "",
) -> C:
    """Return what a name stands for: a full name, or a last part that is unique.

    Args:
        name: The name.
        known: What there is, by full name.
        kind: What it is called in messages.
        elsewhere: Full names of what another command of the command line takes.
        instead: What such a name is, and that command.

    Raises:
        UsageError: Nothing or several things have the name; the message suggests the nearest.
    """
    found = _named(name, known)
    if len(found) == 1:
        return known[found[0]]
    if found:
        raise UsageError(f"{name} could be {' or '.join(found)}; give the full name")
    for full in _named(name, elsewhere):
        raise UsageError(f"{full} is {instead} {full}")
    near = difflib.get_close_matches(name, _full_and_short(known), n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(sorted(known))}"
    raise UsageError(f"there is no {kind} {name}; {hint}")


def _named(name: str, known: Iterable[str]) -> list[str]:
    return sorted(full for full in known if name in (full, full.rpartition(".")[2]))


def _full_and_short(known: Iterable[str]) -> list[str]:
    return [part for full in known for part in (full, full.rpartition(".")[2])]


def read_json(argument: str | None, file: Path | None) -> str:
    """Return the JSON that a command was given: as an argument, in a file, or on standard input.

    Raises:
        UsageError: There is none or more than one, or it cannot be read.
    """
    if argument is not None and file is not None:
        raise UsageError("give the JSON as an argument or with -f, not both")
    if argument is not None and argument != "-":
        return _checked(argument, "the argument")
    if file is not None and str(file) != "-":
        try:
            with file.open("rb") as opened:
                return _decoded(opened, str(file))
        except (OSError, ValueError) as error:
            raise UsageError(f"{file} cannot be read: {_why(error)}") from None
    if sys.stdin is None or (argument is None and file is None and sys.stdin.isatty()):
        raise UsageError("give the JSON as an argument, with -f FILE, or on standard input")
    try:
        return _decoded(getattr(sys.stdin, "buffer", sys.stdin), "standard input")
    except (OSError, ValueError) as error:
        raise UsageError(f"standard input cannot be read: {_why(error)}") from None


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _decoded(source: IO[Any], name: str) -> str:
    """Return what a file contains, as text."""
    content = source.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise UsageError(f"{name} is larger than {_MOST_BYTES >> 20} MiB, which no message may be")
    if isinstance(content, bytes):
        try:
            content = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise UsageError(
                f"{name} is not UTF-8: byte {error.start + 1} cannot be read; save it as UTF-8"
            ) from None
    return _checked(content, name)


def _checked(text: str, name: str) -> str:
    if not text.strip():
        raise UsageError(f"{name} is empty; a message without fields is {{}}")
    return text


def message_of(kind: type[Message], text: str) -> Message:
    """Return the message that JSON describes.

    Raises:
        UsageError: The text is not JSON, or does not fit; the message names every field that does not.
    """
    name = kind.DESCRIPTOR.full_name
    value = _parsed(text)
    problems = list(_problems(value, cast("Descriptor", kind.DESCRIPTOR), ""))
    if problems:
        raise UsageError(f"this is not a valid {name}: " + "; ".join(problems))
    try:
        return json_format.ParseDict(value, kind())
    # Besides its own error, the parser lets those of the conversions through.
    except (json_format.ParseError, ValueError, TypeError, ArithmeticError, AttributeError) as error:
        raise UsageError(f"this is not a valid {name}: {error}") from None


def _parsed(text: str) -> Any:
    """Return the value of JSON.

    Raises:
        UsageError: It is malformed, or nested deeper or with a longer number than any message.
    """
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise UsageError(
            f"this is not JSON: {error.msg} in line {error.lineno}, column {error.colno}"
        ) from None
    except RecursionError:
        raise UsageError(_TOO_DEEP) from None
    except ValueError:
        raise UsageError("this is not JSON for a message: a number has more digits than any field") from None
    level = [value]
    for _ in range(_MOST_LEVELS):
        level = [inner for outer in level for inner in _inner(outer)]
        if not level:
            return value
    raise UsageError(_TOO_DEEP)


def _inner(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


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
    if is_map(field):
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


def _described(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    kinds = ((str, "a string"), (int | float, "the number"), (list, "a list"), (dict, "an object"))
    description = next((text for kind, text in kinds if isinstance(value, kind)), "null")
    return f"{description} {json.dumps(value)[:40]}" if isinstance(value, str | int | float) else description
