"""Who may join and operate which consumers: a consumer's name belongs to its caller."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from intent.consumers import EVERY_TENANT, RESERVED, ConsumerKey, own_prefix
from intent.errors import PermissionDenied, Rejected
from intent.identity import EVERY_ROLE, Identity, authorize, require_every_tenant, require_tenant

if TYPE_CHECKING:
    from intent.service.calls import Call

__all__ = [
    "CONSUME_ROLES",
    "OPERATE_ROLES",
    "key_to_join",
    "key_to_operate",
    "require_listable",
    "shown_prefix",
    "visible_tenant",
]

_ALL_TENANTS: Final = "consumer-all"
_OPERATOR: Final = "operator"
CONSUME_ROLES: Final = frozenset({"consumer", "service", _ALL_TENANTS})
OPERATE_ROLES: Final = CONSUME_ROLES | {_OPERATOR}


def key_to_join(consumer: str, all_tenants: bool, call: Call) -> ConsumerKey:
    """Return the key of a consumer that a caller joins.

    Raises:
        Rejected: It is one of the platform's own.
        PermissionDenied: Its name is not the caller's, or it needs a role that the caller lacks.
        Unauthenticated: The caller names no tenant.
    """
    if consumer.startswith(RESERVED):
        raise Rejected(
            "CONSUMER_RESERVED", f"names that begin with {RESERVED} are those of the platform's own consumers"
        )
    _require_own(consumer, call.identity, "join")
    return _key(consumer, all_tenants, call)


def key_to_operate(consumer: str, all_tenants: bool, call: Call) -> ConsumerKey:
    """Return the key of a consumer that a caller operates: its own one, or as an operator.

    Raises:
        PermissionDenied: It is neither, or the caller lacks a role.
        Unauthenticated: The caller names no tenant.
    """
    if not _operates(call.identity):
        _require_own(consumer, call.identity, "operate")
    return _key(consumer, all_tenants, call)


def require_listable(consumer: str, call: Call) -> None:
    """Check that a caller may see what a consumer has parked; empty: what all of them have.

    Raises:
        PermissionDenied: It may not.
    """
    if _operates(call.identity):
        return
    if not consumer:
        what = (
            f"{call.identity.actor} may not list what all consumers have parked, which takes the role "
            f"{_OPERATOR}: name a consumer; {_owned(call.identity.actor)}"
        )
        raise _denied(call.identity, what)
    _require_own(consumer, call.identity, "list")


def shown_prefix(identity: Identity) -> str:
    """Return with what the names of the consumers begin that a caller sees; empty: it sees all."""
    # Names begin with a letter, so whose actor can have none sees none.
    return "" if _operates(identity) else own_prefix(identity.actor) or "."


def visible_tenant(identity: Identity) -> str | None:
    """Return the tenant whose consumers a caller sees; None: all."""
    everyone = identity.every_tenant and identity.roles & {_ALL_TENANTS, EVERY_ROLE}
    return None if everyone else require_tenant(identity)


def _key(consumer: str, all_tenants: bool, call: Call) -> ConsumerKey:
    if all_tenants:
        what = f"{call.method} for all tenants"
        authorize(call.identity, frozenset({_ALL_TENANTS}), what)
        require_every_tenant(call.identity, what)
        return ConsumerKey(EVERY_TENANT, consumer)
    return ConsumerKey(require_tenant(call.identity), consumer)


def _operates(identity: Identity) -> bool:
    return not identity.roles.isdisjoint({_OPERATOR, EVERY_ROLE})


def _require_own(consumer: str, identity: Identity, what: str) -> None:
    prefix = own_prefix(identity.actor)
    if not prefix or not consumer.startswith(prefix):
        text = f"{identity.actor} may not {what} the consumer {consumer}: {_owned(identity.actor)}"
        raise _denied(identity, text)


def _owned(actor: str) -> str:
    prefix = own_prefix(actor)
    return (
        f"the names of its own ones begin with {prefix}"
        if prefix
        else "it has none of its own, since only service:<name> and user:<name> have, "
        "with a name of a-z, 0-9, '-' and '_'"
    )


def _denied(identity: Identity, text: str) -> PermissionDenied:
    metadata = {"actor": identity.actor, "own": own_prefix(identity.actor)}
    return PermissionDenied("CONSUMER_OF_ANOTHER", text, metadata=metadata)
