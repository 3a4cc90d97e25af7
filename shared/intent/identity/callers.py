"""Who calls, for which tenant, with which roles.

The provider is replaceable: in development it trusts the metadata, elsewhere it verifies tokens.
Everything behind it sees only an `Identity`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Protocol

from google.protobuf.message import Message

from intent.contracts import (
    ANY_CALLER,
    CommandContract,
    Owner,
    QueryContract,
    hides_versions,
    required_owner,
    role_missing,
)
from intent.errors import PermissionDenied, Unauthenticated
from intent.origin import ACTOR, TENANT, is_actor, is_tenant
from intent.wire.metadata import malformed

__all__ = [
    "ACTOR",
    "EVERY_ROLE",
    "ROLE",
    "TENANT",
    "Identity",
    "IdentityProvider",
    "acting_for",
    "authorize",
    "denied",
    "is_actor",
    "is_role",
    "is_tenant",
    "may_expect",
    "owner_for",
    "refuse_claims",
    "require_every_tenant",
    "require_tenant",
    "tenant_of",
]

EVERY_ROLE: Final = "*"
"""Stands for all roles; only the development identity may grant it."""

ROLE: Final = re.compile(r"\*|[A-Za-z0-9][A-Za-z0-9_.:-]{0,62}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Identity:
    """An authenticated caller.

    Attributes:
        tenant: The tenant on whose data the caller acts; empty when the caller named none.
        actor: Who it is, e.g. ``user:ann`` or ``service:checkout``.
        roles: What it may do.
        expires: When its token is valid no longer, in seconds since 1970; None: it has none.
        every_tenant: Whether its roles count for every tenant, because its token is bound to none, or
            has a role that says so.
    """

    tenant: str
    actor: str
    roles: frozenset[str]
    expires: float | None = None
    every_tenant: bool = False


def is_role(text: str) -> bool:
    """Return whether a text can be a role that is granted; `EVERY_ROLE` cannot."""
    return text != EVERY_ROLE and bool(ROLE.fullmatch(text))


class IdentityProvider(Protocol):
    """Identifies the caller from the metadata of a call."""

    async def authenticate(
        self, metadata: Mapping[str, str], certificate: Callable[[], str] = str
    ) -> Identity:
        """Return the caller.

        Args:
            metadata: The metadata of the call.
            certificate: Returns the SPIFFE id in the certificate that its client has shown; empty: none.

        Raises:
            Unauthenticated: The metadata does not identify the caller.
            PermissionDenied: The caller may not act for the tenant that it names.
            InvalidCommand: A value is malformed.
            Unavailable: Nothing can be said now about the caller's token.
        """
        ...


def authorize(identity: Identity, roles: frozenset[str], what: str) -> None:
    """Check that a caller has one of the roles.

    Without roles, as for methods of the platform, and with `ANY_CALLER` among them, any caller is allowed.

    Args:
        identity: The caller.
        roles: The roles of which one is needed.
        what: What the caller wants to do, for the message.

    Raises:
        PermissionDenied: The caller has none of them.
    """
    if not roles or ANY_CALLER in roles:
        return
    if roles.isdisjoint(identity.roles) and EVERY_ROLE not in identity.roles:
        raise role_missing(identity.actor, what, roles)


def owner_for(
    identity: Identity, contract: CommandContract | QueryContract, message: Message
) -> Owner | None:
    """Return whose that must be on which a caller with a sufficient role acts; None: anybody's.

    Args:
        identity: The caller.
        contract: The contract of the command or query.
        message: The command or query.

    Raises:
        NotTheOwner: The message itself says that it is about what is not the caller's.
    """
    if not contract.owned or EVERY_ROLE in identity.roles:
        return None
    return required_owner(contract, identity.roles, identity.actor, message)


def may_expect(identity: Identity, contract: CommandContract, version: int) -> bool:
    """Return whether a caller with a sufficient role may expect its aggregate to be at a version.

    From version 1 on that would tell it at which version the aggregate is, which may be somebody else's.

    Args:
        identity: The caller.
        contract: The contract of the command.
        version: The version; 0: the aggregate must not exist.
    """
    if not version or not contract.owned or EVERY_ROLE in identity.roles:
        return True
    return not hides_versions(contract, identity.roles, contract.id_field)


def require_tenant(identity: Identity) -> str:
    """Return the tenant on whose data a caller acts.

    Raises:
        Unauthenticated: The caller named none.
    """
    if not identity.tenant:
        raise Unauthenticated("TENANT_MISSING", "the call names no tenant: send it as metadata x-tenant-id")
    return identity.tenant


def require_every_tenant(identity: Identity, what: str) -> None:
    """Check that a caller may do what concerns every tenant.

    Args:
        identity: The caller.
        what: What it wants to do, for the message.

    Raises:
        PermissionDenied: It is bound to tenants.
    """
    if not identity.every_tenant:
        raise PermissionDenied(
            "TENANT_DENIED",
            f"{identity.actor} may not call {what}, which concerns every tenant: its token is bound to some",
            metadata={"tenant": "*", "actor": identity.actor},
        )


def acting_for(tenant: str, identity: Identity, tenants: frozenset[str], *, any_tenant: bool) -> Identity:
    """Return an identity for the tenant that a caller names, or for its only one when it names none.

    Args:
        tenant: The tenant; empty: it names none.
        identity: Who it is, of no tenant.
        tenants: Those for which it may act.
        any_tenant: Whether it may act for any.

    Raises:
        PermissionDenied: It may not act for the tenant.
    """
    if not tenant and len(tenants) == 1:
        (tenant,) = tenants
    elif tenant and tenant not in tenants and not any_tenant:
        raise denied(identity.actor, tenant)
    # Not `replace`, which takes longer than all of the above: every call comes here.
    return Identity(tenant, identity.actor, identity.roles, identity.expires, identity.every_tenant)


def refuse_claims(metadata: Mapping[str, str], what: str) -> None:
    """Refuse metadata by which a caller says itself who it is, which development alone believes.

    Raises:
        InvalidCommand: There is such metadata; `what` says who calls instead.
    """
    for key in ("x-actor", "x-roles"):
        if key in metadata:
            raise malformed(key, f"is not accepted here, where a {what} says who calls; leave it out")


def denied(actor: str, tenant: str) -> PermissionDenied:
    """Return the error for a caller who may not act for a tenant."""
    return PermissionDenied(
        "TENANT_DENIED",
        f"{actor} may not act for tenant {tenant}",
        metadata={"tenant": tenant, "actor": actor},
    )


# Every call repeats the same few values, so checked ones are cached.
@lru_cache(maxsize=1024)
def tenant_of(tenant: str) -> str:
    """Return a tenant that a caller names, which may be empty.

    Raises:
        InvalidCommand: It is malformed.
    """
    if tenant and not TENANT.fullmatch(tenant):
        rule = "must be 1 to 63 of a-z, 0-9, '-' and '_', starting with a letter or digit"
        raise malformed("x-tenant-id", rule)
    return tenant
