"""Messages that are nearly valid: an example of the contract, changed field by field and byte by byte."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from random import Random
from typing import Any, Final

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from intent.cli.examples import example

from .inputs import Edit, edit, edited, number, text

__all__ = ["Draft", "good"]

Path = tuple[str, ...]
_DEPTH: Final = 4
_MOST_PATHS: Final = 60
_RANGES: Final = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}
_BETTER: Final = {
    "country": "DE",
    "command_id": "0192f0c1-0000-7000-8000-000000000000",
    "consumer": "user.ann.fuzzed",
    "page_token": "",
}
"""What the rules of contracts ask of fields, beyond what examples have."""
_ANY: Final = "google.protobuf.Any"


@dataclass
class Draft:
    """A message that is being changed.

    Attributes:
        kind: Its type.
        data: It, encoded.
        changes: What its bytes are changed by once its fields are.
    """

    kind: Descriptor
    data: bytes
    changes: list[Edit] = field(default_factory=list)

    def alter(self, dice: Random) -> None:
        """Change a field or some bytes."""
        paths = _paths(self.kind)
        if not paths or dice.random() < 0.4:
            self.changes.append(edit(dice))
            return
        message: Message = GetMessageClass(self.kind)()
        message.ParseFromString(self.data)
        path = dice.choice(list(paths))
        _set(message, path, None if dice.random() < 0.2 else _value(paths[path], dice))
        self.data = message.SerializeToString()

    def encoded(self) -> bytes:
        """Return its bytes, changed."""
        return edited(self.data, self.changes)


@cache
def good(kind: Descriptor, packed: tuple[Descriptor, ...] = ()) -> list[bytes]:
    """Return encoded messages that satisfy most contracts, and empty ones.

    Args:
        kind: Their type.
        packed: What its fields of the type Any may hold.
    """
    own = _example(kind)
    holders = [each.name for each in kind.fields if _is_any(each)]
    if not holders or not packed:
        return [own.SerializeToString(deterministic=True), b""]
    found = []
    for inner in packed:
        for name in holders:
            getattr(own, name).Pack(_example(inner))
        found.append(own.SerializeToString(deterministic=True))
    return found


def _example(kind: Descriptor) -> Message:
    message: Message = GetMessageClass(kind)()
    document = _one_of_each(kind, _tidied(example(kind), kind))
    json_format.ParseDict(document, message)
    return message


def _tidied(value: Any, kind: Descriptor) -> Any:
    """Return an example with better texts, and without what JSON cannot hold."""
    by_name = {each.name: each for each in kind.fields}
    return {
        name: _better(inner, by_name[name]) for name, inner in value.items() if not _is_any(by_name[name])
    }


def _better(value: Any, of: FieldDescriptor) -> Any:
    if isinstance(value, dict) and of.message_type is not None:
        return _one_of_each(of.message_type, _tidied(value, of.message_type))
    if isinstance(value, list):
        return [_better(each, of) for each in value]
    return _BETTER.get(of.name, value) if isinstance(value, str) else value


def _is_any(of: FieldDescriptor) -> bool:
    return of.message_type is not None and of.message_type.full_name == _ANY


def _one_of_each(kind: Descriptor, value: dict[str, Any]) -> dict[str, Any]:
    """Return an example with the first field of each choice alone."""
    for choice in kind.oneofs:
        for other in list(choice.fields)[1:]:
            value.pop(other.name, None)
    return value


def _set(message: Any, path: Path, value: Any) -> None:
    """Set a field, or leave it where its message cannot hold the value."""
    *outer, last = path
    for name in outer:
        inner = getattr(message, name)
        message = inner if isinstance(inner, Message) else (inner[0] if inner else inner.add())
    if value is None:
        message.ClearField(last)
    elif message.DESCRIPTOR.fields_by_name[last].is_repeated:
        getattr(message, last).extend([value] * 3)
    else:
        setattr(message, last, value)


@cache
def _paths(kind: Descriptor, depth: int = _DEPTH) -> dict[Path, FieldDescriptor]:
    """Return the fields of a message that hold a value, and those of the messages in it, by path."""
    found: dict[Path, FieldDescriptor] = {}
    for own in kind.fields:
        inner = own.message_type
        if inner is None:
            found[own.name,] = own
        elif depth > 1 and not inner.GetOptions().map_entry:
            found |= {(own.name, *path): each for path, each in _paths(inner, depth - 1).items()}
    return dict(list(found.items())[:_MOST_PATHS])


def _value(of: FieldDescriptor, dice: Random) -> Any:
    kind = of.cpp_type
    if kind == FieldDescriptor.CPPTYPE_STRING:
        return dice.randbytes(dice.randrange(40)) if of.type == FieldDescriptor.TYPE_BYTES else text(dice)
    if kind == FieldDescriptor.CPPTYPE_BOOL:
        return dice.random() < 0.5
    if kind == FieldDescriptor.CPPTYPE_ENUM:
        return dice.choice((0, 1, 2, 3, 99, -1, 2**31 - 1))
    if kind in _RANGES:
        return number(dice, *_RANGES[kind])
    return dice.choice((0.0, -1.5, 1e300, float("nan"), float("inf")))
