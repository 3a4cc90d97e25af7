"""Reads which roles may act only on what is the caller's own, and checks it against the contracts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, cast

from google.protobuf.descriptor import Descriptor

from intent.contracts.contract import CommandContract, QueryContract, ReadModelContract, StateContract
from intent.contracts.ownership import OwnedBy, Ownership, is_text
from intent.contracts.problems import Problems

__all__ = ["check_row_owners", "check_state_owners", "read_ownership"]

_TEXT: Final = "name a single string field of it"


def read_ownership(
    options: Any, message: Descriptor, problem: Callable[[str, str], None]
) -> tuple[Ownership, ...]:
    """Return the roles that may act only on what is the caller's own.

    Args:
        options: The option of a command or query.
        message: Its message.
        problem: Called with each fault and its fix.
    """
    found: dict[str, Ownership] = {}
    for each in options.owned:
        by = each.WhichOneof("by")
        if by is None or not each.role:
            problem("has an `owned` without a role or a field", "set in it `role`, and one of the fields")
            continue
        if each.role not in options.roles:
            problem(f"owns for the role {each.role!r}, which is none of its roles", "name one of its `roles`")
        if each.role in found:
            problem(f"has two `owned` for the role {each.role!r}", "keep one of the two")
        ownership = Ownership(each.role, OwnedBy(by), getattr(each, by))
        if ownership.by is OwnedBy.MESSAGE and not is_text(message, ownership.field):
            problem(f"is owned by its field {ownership.field!r}, which is no text that it has", _TEXT)
        found[each.role] = ownership
    return tuple(found.values())


def check_state_owners(
    commands: Iterable[CommandContract], states: Iterable[StateContract], problems: Problems
) -> None:
    """Note commands that are owned by what their aggregate's state does not have as a text."""
    known = {(state.context, state.aggregate): state for state in states}
    for command in commands:
        state = known.get((command.context, command.aggregate))
        for field in _fields(command.owned, OwnedBy.STATE) if state is not None else ():
            assert state is not None
            if not is_text(cast("Descriptor", state.message.DESCRIPTOR), field):
                fault = f"is owned by the field {field!r} of {state.type}, which is no text that it has"
                problems.add(command.message.DESCRIPTOR.file.name, command.type, fault, _TEXT)


def check_row_owners(
    queries: Iterable[QueryContract], models: Iterable[ReadModelContract], problems: Problems
) -> None:
    """Note queries whose rows cannot be narrowed to those of their owner."""
    known = {model.type: model for model in models}
    for query in queries:
        for field in _fields(query.owned, OwnedBy.ROW):
            for fault, fix in _row_faults(query, field, known):
                problems.add(query.message.DESCRIPTOR.file.name, query.type, fault, fix)


def _fields(owned: Iterable[Ownership], by: OwnedBy) -> Iterator[str]:
    return (each.field for each in owned if each.by is by)


def _row_faults(
    query: QueryContract, field: str, known: dict[str, ReadModelContract]
) -> Iterator[tuple[str, str]]:
    shown = [
        known[name] for name in _types_of(cast("Descriptor", query.response.DESCRIPTOR)) if name in known
    ]
    if not shown:
        yield (
            f"is owned by the field {field!r} of its rows, but no read model is in its answer",
            "answer with read models, or compare a `field` of the query",
        )
    for model in shown:
        row = cast("Descriptor", model.message.DESCRIPTOR)
        if field not in (*model.key, *model.indexed) or not is_text(row, field):
            yield (
                f"is owned by the field {field!r} of its rows, by which {model.type} cannot be narrowed",
                f"give {model.type} this field, a single string with (intent.v1.indexed) = true",
            )


def _types_of(message: Descriptor) -> Iterator[str]:
    """Yield the names of a message and of all messages in it."""
    seen: set[str] = set()
    pending = [message]
    while pending:
        current = pending.pop()
        if current.full_name in seen:
            continue
        seen.add(current.full_name)
        yield current.full_name
        pending += [field.message_type for field in current.fields if field.message_type is not None]
