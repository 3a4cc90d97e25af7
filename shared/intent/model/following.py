"""Declares a field of a read model that follows from which event came: a status, in one table.

Example::

    class OrderViews(Projection[OrderView]):
        status = follows(
            "status",
            {
                OrderConfirmed: OrderStatus.ORDER_STATUS_CONFIRMED,
                OrderCompleted: OrderStatus.ORDER_STATUS_COMPLETED,
            },
        )
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from intent.annotations import message_of
from intent.contracts import Problems
from intent.contracts.options import column_fields
from intent.model.marks import Member, members_of
from intent.model.metadata import KeysOf

__all__ = ["Assignment", "Follows", "assignments", "follows"]

V = TypeVar("V", bool, int, float, str, bytes)

_Note: TypeAlias = Callable[[str, str], None]
_TYPES: Final[Mapping[int, tuple[type, ...]]] = MappingProxyType(
    {
        FieldDescriptor.CPPTYPE_BOOL: (bool,),
        FieldDescriptor.CPPTYPE_DOUBLE: (float, int),
        FieldDescriptor.CPPTYPE_ENUM: (int,),
        FieldDescriptor.CPPTYPE_FLOAT: (float, int),
        FieldDescriptor.CPPTYPE_INT32: (int,),
        FieldDescriptor.CPPTYPE_INT64: (int,),
        FieldDescriptor.CPPTYPE_STRING: (str, bytes),
        FieldDescriptor.CPPTYPE_UINT32: (int,),
        FieldDescriptor.CPPTYPE_UINT64: (int,),
    }
)
"""The Python types of the fields that hold a single value."""


@dataclass(frozen=True, slots=True)
class Follows:
    """A field whose value follows from which event came; made by `follows`.

    Attributes:
        field: The field of the row.
        values: The value that each event sets.
        key: Which rows an event concerns; None: the row of the aggregate's id.
    """

    field: str
    values: Mapping[type[Message], Any]
    key: KeysOf | None = None


class Assignment(NamedTuple):
    """What one event of a `Follows` does.

    Attributes:
        member: The attribute of the projection that declares it.
        event: The message class of the event.
        method: Sets the field, called like a method of the projection with the row and the event.
        keys: Which rows the event concerns; None: the row of the aggregate's id.
    """

    member: Member
    event: type[Message]
    method: Callable[..., None]
    keys: KeysOf | None


def follows(field: str, values: Mapping[type[Message], V], *, key: KeysOf | None = None) -> Follows:
    """Declare that a field of the row has the value that the last of these events stands for.

    It is the handler of these events: none of them may have a method as well. An event that does
    more than setting the one field has a method with `projects` instead.

    Args:
        field: The name of the field; one that holds a single value and is no part of the key.
        values: The value that each event sets, by the event's class.
        key: Which rows an event concerns, as in `projects`; by default the row whose key is the id of
            the aggregate that recorded the event.
    """
    return Follows(field, values, key)


def assignments(cls: type, model: type[Message], problems: Problems) -> Iterator[Assignment]:
    """Yield what a projection's attributes made by `follows` do, event by event.

    Args:
        cls: The projection's class.
        model: The message class of its rows; `Message` itself when the class names none.
        problems: Where to note fields, events and values that do not fit.
    """
    for member in members_of(cls):
        if isinstance(member.value, Follows):
            yield from _assignments(member, model, problems)


def _assignments(member: Member, model: type[Message], problems: Problems) -> Iterator[Assignment]:
    def note(fault: str, fix: str) -> None:
        problems.add(member.module, member.subject, fault, fix)

    declared: Follows = member.value
    if not isinstance(declared.values, Mapping) or not declared.values:
        note("names no event", "give the value of each event, as in {OrderConfirmed: CONFIRMED}")
        return
    field = _field(declared.field, model, note)
    for event, value in declared.values.items():
        if message_of(event) is None:
            note(f"names {event!r} as an event", "name the message class of an event")
            continue
        if field is not None:
            _check_value(field, model, event, value, note)
        yield Assignment(member, event, _setter(member.name, declared.field, value), declared.key)


def _field(name: str, model: type[Message], note: _Note) -> FieldDescriptor | None:
    """Return the field that is set, or None when there is none that could be."""
    if model is Message:
        return None
    key, _ = column_fields(model.DESCRIPTOR)  # type: ignore[arg-type]
    fields: Mapping[str, Any] = model.DESCRIPTOR.fields_by_name
    field: FieldDescriptor | None = fields.get(name) if isinstance(name, str) else None
    if field is None:
        fault = f"sets the field {name!r}, which {model.DESCRIPTOR.full_name} does not have"
        note(fault, f"name one of {', '.join(sorted(fields))}")
    elif field.is_repeated or field.cpp_type not in _TYPES:
        note(f"sets the field {name!r}, which holds no single value", "write a method with @projects instead")
    elif field in key:
        note(f"sets the field {name!r}, which is part of the key", "name a field besides the key")
    else:
        return field
    return None


def _check_value(
    field: FieldDescriptor, model: type[Message], event: type[Message], value: object, note: _Note
) -> None:
    if not _fits(field, model, value):
        enum = field.enum_type
        wanted = enum.full_name if enum else " or ".join(each.__name__ for each in _TYPES[field.cpp_type])
        fault = f"sets {field.name} to {value!r} on {event.DESCRIPTOR.full_name}"
        note(fault, f"give a value of {wanted} that the field can hold")


def _fits(field: FieldDescriptor, model: type[Message], value: object) -> bool:
    """Return whether a field can hold a value; a bool is no number here, and a number no bool."""
    is_bool = field.cpp_type == FieldDescriptor.CPPTYPE_BOOL
    if not isinstance(value, _TYPES[field.cpp_type]) or isinstance(value, bool) is not is_bool:
        return False
    if field.enum_type is not None:
        return value in field.enum_type.values_by_number
    try:
        setattr(model(), field.name, value)
    except (TypeError, ValueError):
        return False
    return True


def _setter(name: str, field: str, value: object) -> Callable[..., None]:
    """Return the method that sets a field; its name is that of the attribute that declares it."""

    def method(projection: object, row: Message, event: Message) -> None:
        setattr(row, field, value)

    method.__name__ = name
    return method
