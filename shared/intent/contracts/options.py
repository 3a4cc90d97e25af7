"""Reads Intent's options from descriptors; the only module that knows their numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor, FileDescriptor
from intent_contracts.buf.validate import validate_pb2
from intent_contracts.intent.v1 import options_pb2

__all__ = [
    "KINDS",
    "column_fields",
    "context_of_package",
    "id_fields",
    "kinds_of",
    "limits_length",
    "messages_of",
    "option",
    "snake_case",
]

KINDS: dict[str, Any] = {
    "command": options_pb2.command,
    "event": options_pb2.event,
    "state": options_pb2.state,
    "query": options_pb2.query,
    "read_model": options_pb2.read_model,
    "saga": options_pb2.saga,
}
"""The message options by which a contract says what a message is."""

_LIMITS = ("const", "len", "len_bytes", "max_bytes", "max_len", "tuuid", "uuid")
_PACKAGE = re.compile(r"([a-z][a-z0-9_]*)\.v[0-9]+")
_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def messages_of(file: FileDescriptor) -> Iterator[Descriptor]:
    """Yield the messages of a file, nested ones too."""
    pending = list(file.message_types_by_name.values())
    while pending:
        message = pending.pop(0)
        yield message
        pending.extend(message.nested_types)


def kinds_of(message: Descriptor) -> list[str]:
    """Return what a message is marked as; more than one kind is a contradiction."""
    options = message.GetOptions()
    return [kind for kind, extension in KINDS.items() if options.HasExtension(extension)]


def option(message: Descriptor, kind: str) -> Any:
    """Return the option of this kind, with defaults when it is not set."""
    return message.GetOptions().Extensions[KINDS[kind]]


def limits_length(field: Any) -> bool:
    """Return whether the rules of a text field limit how long it may be."""
    rules = field.GetOptions().Extensions[validate_pb2.field].string
    return bool(getattr(rules, "in")) or any(rules.HasField(rule) for rule in _LIMITS)


def id_fields(message: Descriptor) -> list[FieldDescriptor]:
    """Return the fields that are marked as the aggregate's id."""
    return _marked(message, options_pb2.aggregate_id)


def column_fields(message: Descriptor) -> tuple[list[FieldDescriptor], list[FieldDescriptor]]:
    """Return the fields of a read model that are its key, and those that are indexed."""
    return _marked(message, options_pb2.key), _marked(message, options_pb2.indexed)


def _marked(message: Descriptor, extension: Any) -> list[FieldDescriptor]:
    fields = sorted(message.fields, key=lambda field: field.number)
    return [field for field in fields if field.GetOptions().Extensions[extension]]


def context_of_package(package: str) -> str:
    """Return the context of a package, e.g. ``orders`` of ``orders.v1``; empty if it has another form."""
    match = _PACKAGE.fullmatch(package)
    return match.group(1) if match else ""


def snake_case(name: str) -> str:
    """Return a name in snake case, e.g. ``order_view`` of ``OrderView``."""
    return _WORD.sub("_", name).lower()
