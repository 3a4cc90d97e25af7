"""Checks a message against the field rules of its contract."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from itertools import islice
from typing import Any, TypeVar, overload

import protovalidate
from google.protobuf.message import DecodeError, Message

from intent.contracts.contract import AnyContract, SagaContract, saga_id
from intent.contracts.options import id_fields
from intent.contracts.texts import may_contain_nul, nul_violations
from intent.contracts.times import time_violations
from intent.contracts.walking import items_of
from intent.errors import InvalidCommand, Rejected, Violation

__all__ = [
    "COMMAND_EVENTS_BYTES",
    "COMMAND_EVENTS_LIMIT",
    "MESSAGE_LIMIT",
    "SAGA_ID_BYTES",
    "VIOLATIONS_LIMIT",
    "parse",
    "require_recordable",
    "require_saga_ids",
    "too_large",
    "validate",
]

MESSAGE_LIMIT = 256 * 1024
"""The most bytes that one message may have."""

COMMAND_EVENTS_LIMIT = 1000
"""The most events that one command may record."""

COMMAND_EVENTS_BYTES = 1024 * 1024
"""The most bytes that the events of one command may have together."""

SAGA_ID_BYTES = 1000
"""The most bytes that the id of a saga may have, which is that of a workflow of Temporal."""

VIOLATIONS_LIMIT = 100
"""The most violations that are reported of one message."""

_ELEMENTS_LIMIT = 500
"""A broken message with more elements is checked up to its first violation: each violation takes
some 20 us, and an element can break several rules."""

ID_LIMIT = 255
"""The most characters that an aggregate's id may have."""

M = TypeVar("M", bound=Message)

_validator = protovalidate.Validator()


def validate(message: Message, *, limit: int = MESSAGE_LIMIT, data: bytes | None = None) -> None:
    """Check a message against its contract.

    Args:
        message: The message.
        limit: The most bytes that it may have.
        data: The bytes that it was read from, where they are at hand, to save encoding it again.

    Raises:
        InvalidCommand: With one violation per broken rule, `VIOLATIONS_LIMIT` at most and only the
            first of a message with hundreds of elements (CONTRACT_VIOLATED), or because it has too
            many bytes (MESSAGE_TOO_LARGE).
    """
    if data is None:
        data = message.SerializeToString()
    if len(data) > limit:
        raise too_large(message, len(data), limit)
    violations = _rule_violations(message) + _id_violations(message)
    violations += islice(time_violations(message), VIOLATIONS_LIMIT)
    if (not violations or _few_elements(message)) and may_contain_nul(message, data):
        violations += islice(nul_violations(message), VIOLATIONS_LIMIT)
    if violations:
        name = message.DESCRIPTOR.full_name
        raise InvalidCommand(
            "CONTRACT_VIOLATED", f"{name} breaks its contract", violations=violations[:VIOLATIONS_LIMIT]
        )


def too_large(message: Message | type[Message], size: int, limit: int) -> InvalidCommand:
    """Return the error for a message of `size` bytes where at most `limit` are allowed."""
    name = message.DESCRIPTOR.full_name
    return InvalidCommand(
        "MESSAGE_TOO_LARGE",
        f"{name} has {size} bytes, at most {limit} are allowed",
        metadata={"size": str(size), "limit": str(limit)},
    )


def require_recordable(events: int, size: int) -> None:
    """Check that one command may record as many events.

    Args:
        events: How many it would record.
        size: The bytes that they have together.

    Raises:
        Rejected: There are too many (EVENTS_TOO_MANY), or they are too large together (EVENTS_TOO_LARGE).
    """
    if events > COMMAND_EVENTS_LIMIT:
        raise Rejected(
            "EVENTS_TOO_MANY",
            f"it would record more than {COMMAND_EVENTS_LIMIT} events; let several commands record them",
            metadata={"limit": str(COMMAND_EVENTS_LIMIT)},
        )
    if size > COMMAND_EVENTS_BYTES:
        raise Rejected(
            "EVENTS_TOO_LARGE",
            f"it would record {events} events of {size} bytes together, at most {COMMAND_EVENTS_BYTES} are "
            "allowed; let several commands record them",
            metadata={"size": str(size), "limit": str(COMMAND_EVENTS_BYTES)},
        )


def require_saga_ids(
    listeners: Iterable[SagaContract], event: Message, tenant: str, aggregate_id: str
) -> None:
    """Check that an event can reach the sagas that listen to it.

    Args:
        listeners: The sagas.
        event: The event, which a command would record.
        tenant: The tenant.
        aggregate_id: The aggregate's id.

    Raises:
        Rejected: The id of a saga would be too long in bytes (SAGA_ID_TOO_LONG).
    """
    for saga in listeners:
        correlation = saga.correlation(event, aggregate_id)
        size = len(saga_id(saga.type, tenant, correlation).encode())
        if size > SAGA_ID_BYTES:
            named = saga.correlated_by if correlation != aggregate_id else "the id of the aggregate"
            raise Rejected(
                "SAGA_ID_TOO_LONG",
                f"its event {event.DESCRIPTOR.full_name} would be for a saga {saga.type} whose id has {size} "
                f"bytes, and may have {SAGA_ID_BYTES}; shorten {named}",
                metadata={"size": str(size), "limit": str(SAGA_ID_BYTES)},
            )


def _rule_violations(message: Message) -> list[Violation]:
    """Return what breaks the message's rules, at a cost that the caller cannot choose."""
    broken = _validator.collect_violations(message, fail_fast=True)
    if broken and _few_elements(message):
        broken = _validator.collect_violations(message)
    return [
        Violation(_path(v.proto.field), v.proto.message, v.proto.rule_id) for v in broken[:VIOLATIONS_LIMIT]
    ]


def _few_elements(message: Message) -> bool:
    return len(list(islice(_elements(message), _ELEMENTS_LIMIT))) < _ELEMENTS_LIMIT


def _elements(message: Message) -> Iterator[None]:
    """Yield once for each value in a message, however deep."""
    for field, value in message.ListFields():
        for _, item in items_of(field, value, ""):
            yield
            if isinstance(item, Message):
                yield from _elements(item)


@overload
def parse(contract: type[M], data: bytes) -> M: ...
@overload
def parse(contract: AnyContract, data: bytes) -> Message: ...
def parse(contract: AnyContract | type[Message], data: bytes) -> Message:
    """Return the message that bytes encode.

    Args:
        contract: The contract of the message, or its class.
        data: The message, as proto bytes.

    Raises:
        InvalidCommand: The bytes do not encode such a message (MALFORMED_MESSAGE).
    """
    cls: Any = contract if isinstance(contract, type) else contract.message
    try:
        message: Message = cls.FromString(data)
    except DecodeError as error:
        name = cls.DESCRIPTOR.full_name
        raise InvalidCommand("MALFORMED_MESSAGE", f"the bytes do not encode {name}: {error}") from error
    return message


def _path(field: Any) -> str:
    """Return a field path as people write it, e.g. ``lines[2].quantity``."""
    path = ""
    for element in field.elements:
        path += f".{element.field_name}" if path else element.field_name
        if element.subscript is not None:
            value = element.subscript.value
            path += f'["{value}"]' if isinstance(value, str) else f"[{value}]"
    return path


def _id_violations(message: Message) -> list[Violation]:
    """Check what every aggregate's id must be, whatever the rules of its field say."""
    name = _id_field(message.DESCRIPTOR)
    value = getattr(message, name) if name else "none"
    if value.strip() and len(value) <= ID_LIMIT and value.isprintable():
        return []
    rule = f"must be 1 to {ID_LIMIT} printable characters, and not blank"
    return [Violation(name, rule, "aggregate_id")]


@cache
def _id_field(message: Any) -> str:
    fields = id_fields(message)
    return fields[0].name if fields else ""
