"""Checks in tests who may send a command, as the platform does."""

from __future__ import annotations

from collections.abc import Collection

from google.protobuf.message import Message

from intent.contracts import ANY_CALLER, CommandContract, not_the_owner, required_owner, role_missing

__all__ = ["require_owner", "require_role"]


def require_role(contract: CommandContract, actor: str, roles: Collection[str]) -> None:
    """Check that a caller has one of the roles of a command.

    Args:
        contract: The command's contract.
        actor: The caller.
        roles: The caller's roles.

    Raises:
        PermissionDenied: It has none.
    """
    if ANY_CALLER not in contract.roles and contract.roles.isdisjoint(roles):
        raise role_missing(actor, contract.type, contract.roles)


def require_owner(
    contract: CommandContract, command: Message, state: Message, actor: str, roles: Collection[str]
) -> None:
    """Check that an aggregate is the caller's, where its roles allow the command only for its own.

    Args:
        contract: The command's contract.
        command: The command.
        state: The state of the aggregate.
        actor: The caller.
        roles: The caller's roles, of which one suffices.

    Raises:
        NotTheOwner: It is not, or does not exist.
    """
    owner = required_owner(contract, roles, actor, command)
    if owner is not None and not owner.owns(state):
        raise not_the_owner(actor, contract.type, owner)
