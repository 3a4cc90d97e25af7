"""Ids of commands that others can compute, and who may therefore use them.

Sagas, consumers and workflows derive the ids of their commands from what they follow from, so that a
step that is repeated has one effect. These are UUIDs of version 5, and no secrets: whoever knows the
id of an order can compute those of its saga. A caller that could use one first would have the step
refused, and one that could ask for its outcome would learn what became of it.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

from intent.errors import InvalidCommand
from intent.identity import EVERY_ROLE, Identity
from intent.service.servicers.consumer_rights import OPERATE_ROLES
from intent.wire.metadata import COMMAND_ID, malformed

__all__ = ["DERIVING_ROLES", "may_use", "not_to_be_chosen"]

DERIVING_ROLES: Final = OPERATE_ROLES
"""The roles of those whose commands follow from events, and of those who operate them."""

_DERIVED: Final = 5


def may_use(command_id: UUID, identity: Identity) -> bool:
    """Return whether a caller may send a command under an id, and ask for its outcome."""
    if command_id.version != _DERIVED or EVERY_ROLE in identity.roles:
        return True
    return not DERIVING_ROLES.isdisjoint(identity.roles)


def not_to_be_chosen() -> InvalidCommand:
    """Return the error for a caller who may not use the id that it has chosen."""
    roles = ", ".join(sorted(DERIVING_ROLES))
    return malformed(
        COMMAND_ID,
        "must be a UUID of another version than 5, such as 4 or 7: those of version 5 are derived from "
        f"what a command follows from, which takes one of these roles: {roles}",
    )
