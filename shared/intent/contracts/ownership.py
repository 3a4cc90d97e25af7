"""Ownership: roles that may act only on what is the caller's own.

What belongs to a caller is found by a text that is equal to the caller's subject: a field of the
message itself, which is compared before anything is read; a field of the aggregate's state, which
is compared where the aggregate is loaded; or a column of the read models, by which the database
narrows what it reads.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NamedTuple, Protocol

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from intent.errors import NotTheOwner, PermissionDenied

__all__ = [
    "ANY_CALLER",
    "Callee",
    "OwnedBy",
    "Owner",
    "Ownership",
    "hides_versions",
    "is_text",
    "not_the_owner",
    "read_ownership",
    "required_owner",
    "role_missing",
    "subject_of",
]

ANY_CALLER: Final = "*"
"""The role in a contract that says that any authenticated caller may call."""

_PERSON: Final = "user:"
_KIND: Final = ":"
"""Ends the kind of an actor, such as ``service``, before its name."""
_TEXT: Final = "name a single string field of it"


class OwnedBy(StrEnum):
    """Where the field is that says whose something is."""

    MESSAGE = "field"
    STATE = "state_field"
    ROW = "row_field"


@dataclass(frozen=True, slots=True)
class Ownership:
    """A role that may act only on what is the caller's own.

    Attributes:
        role: The role.
        by: Where the field is.
        field: The field that must be equal to the caller's subject.
    """

    role: str
    by: OwnedBy
    field: str

    def __str__(self) -> str:
        return f"own only: {self.field}{_PLACES[self.by]} is the caller"


_PLACES: Final = {OwnedBy.MESSAGE: "", OwnedBy.STATE: " of its state", OwnedBy.ROW: " of the rows"}


class Owner(NamedTuple):
    """Whose something must be.

    Attributes:
        subject: The subject of the owner; never empty.
        fields: The fields of a state, or the columns of a row, of which one must be equal to it.
    """

    subject: str
    fields: tuple[str, ...]

    def owns(self, message: Message) -> bool:
        """Return whether a message, such as a state, is the owner's; without the fields it is nobody's."""
        return bool(self.subject) and any(
            getattr(message, name, None) == self.subject for name in self.fields
        )


class Callee(Protocol):
    """A contract that callers call: that of a command or of a query."""

    @property
    def type(self) -> str:
        """The full name of its message."""
        ...

    @property
    def roles(self) -> frozenset[str]:
        """The roles of which a caller needs one."""
        ...

    @property
    def owned(self) -> tuple[Ownership, ...]:
        """Those that may act only on what is the caller's own."""
        ...


def subject_of(actor: str) -> str:
    """Return the subject of a caller, to which fields that say whose something is are compared.

    That of a person is the name without ``user:``, as the token's subject is; that of any other actor
    is the actor itself, so that ``service:ann`` is not taken for ``user:ann``. Nor is a person's whose
    name could be such an actor: the subject of ``user:service:ann`` is all of that.
    """
    name = actor.removeprefix(_PERSON)
    return name if name and _KIND not in name else actor


def required_owner(contract: Callee, roles: Collection[str], actor: str, message: Message) -> Owner | None:
    """Return whose that on which a call acts must be.

    Args:
        contract: The contract of what is called.
        roles: The roles of the caller, who has one that suffices.
        actor: The caller.
        message: The command or query.

    Returns:
        The owner, by the fields of the state or row; None: the call may act on everything.

    Raises:
        NotTheOwner: The message itself says that it is about what is not the caller's.
    """
    applying = _applying(contract, roles)
    if applying is None:
        return None
    subject = subject_of(actor)
    own = Owner(subject, tuple(each.field for each in applying if each.by is OwnedBy.MESSAGE))
    if own.owns(message):
        return None
    elsewhere = tuple(dict.fromkeys(each.field for each in applying if each.by is not OwnedBy.MESSAGE))
    if not elsewhere:
        raise not_the_owner(actor, contract.type, own)
    return Owner(subject, elsewhere)


def hides_versions(contract: Callee, roles: Collection[str], id_field: str) -> bool:
    """Return whether a caller that a command lets through must not learn its aggregate's version.

    The fields of a message say for whom something is done, and not whose the aggregate is: a customer
    may send a command for herself under the id of what is somebody else's.

    Args:
        contract: The contract of the command.
        roles: The roles of the caller, who has one that suffices.
        id_field: The field with the aggregate's id; if it must be the caller, the aggregate is its own.
    """
    applying = _applying(contract, roles) or []
    return any(each.by is OwnedBy.MESSAGE and each.field != id_field for each in applying)


def _applying(contract: Callee, roles: Collection[str]) -> list[Ownership] | None:
    """Return to what a caller with some roles is limited; None: it is not."""
    if not contract.owned:
        return None
    limits = {each.role: each for each in contract.owned}
    granted = sorted(role for role in contract.roles if role == ANY_CALLER or role in roles)
    return [limits[role] for role in granted] if all(role in limits for role in granted) else None


def not_the_owner(actor: str, what: str, owner: Owner) -> PermissionDenied:
    """Return the error for a caller who may act only on what is its own.

    It is the same whether what was named is somebody else's or does not exist.

    Args:
        actor: The caller.
        what: The full name of what was called.
        owner: Whose it would have to be.
    """
    fields = " or ".join(owner.fields)
    return NotTheOwner(
        "NOT_THE_OWNER",
        f"{actor} may call {what} only for what is its own: where {fields} is {owner.subject}",
        metadata={"actor": actor, "subject": owner.subject, "fields": ", ".join(owner.fields)},
    )


def role_missing(actor: str, what: str, roles: Collection[str]) -> PermissionDenied:
    """Return the error for a caller who has none of the roles of which one is needed."""
    needed = ", ".join(sorted(roles))
    return PermissionDenied(
        "ROLE_MISSING",
        f"{actor} may not call {what}: one of these roles is needed: {needed}",
        metadata={"needed": needed, "actor": actor},
    )


def is_text(message: Descriptor, name: str) -> bool:
    """Return whether a message has a single text field of a name."""
    field: Any = message.fields_by_name.get(name)
    return field is not None and field.type == FieldDescriptor.TYPE_STRING and not field.is_repeated


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
