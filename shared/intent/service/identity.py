"""Who calls, for which tenant, with which roles.

The provider is replaceable: in development it trusts the metadata; a provider for tokens would
verify them. Everything behind it sees only an `Identity`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, Protocol

from intent.contracts import ANY_CALLER
from intent.errors import ConfigurationError, PermissionDenied, Unauthenticated
from intent.wire.metadata import malformed

__all__ = ["EVERY_ROLE", "DevIdentityProvider", "Identity", "IdentityProvider", "authorize", "require_tenant"]

EVERY_ROLE: Final = "*"
"""Stands for all roles; only the development identity may grant it."""

_TENANT: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}", re.ASCII)
_ACTOR: Final = re.compile(r"[\x21-\x7e]{1,128}", re.ASCII)
_ROLE: Final = re.compile(r"\*|[A-Za-z0-9][A-Za-z0-9_.:-]{0,62}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Identity:
    """An authenticated caller.

    Attributes:
        tenant: The tenant on whose data the caller acts; empty when the caller named none.
        actor: Who it is, e.g. ``user:ann`` or ``service:checkout``.
        roles: What it may do.
    """

    tenant: str
    actor: str
    roles: frozenset[str]


class IdentityProvider(Protocol):
    """Identifies the caller from the metadata of a call."""

    async def authenticate(self, metadata: Mapping[str, str]) -> Identity:
        """Return the caller.

        Raises:
            Unauthenticated: The metadata does not identify the caller.
            PermissionDenied: The caller may not act for the tenant that it names.
            InvalidCommand: A value is malformed.
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
        needed = ", ".join(sorted(roles))
        raise PermissionDenied(
            "ROLE_MISSING",
            f"{identity.actor} may not call {what}: one of these roles is needed: {needed}",
            metadata={"needed": needed, "actor": identity.actor},
        )


def require_tenant(identity: Identity) -> str:
    """Return the tenant on whose data a caller acts.

    Raises:
        Unauthenticated: The caller named none.
    """
    if not identity.tenant:
        raise Unauthenticated("TENANT_MISSING", "the call names no tenant: send it as metadata x-tenant-id")
    return identity.tenant


@dataclass(frozen=True, slots=True)
class DevIdentityProvider:
    """Trusts the metadata: for development and tests only.

    It reads ``x-tenant-id``, ``x-actor`` and ``x-roles``. Instead of the last two a caller may
    send ``authorization: Bearer dev:<actor>:<role,role>``, or
    ``Bearer dev:<actor>:<role,role>:<tenant,tenant>``, which binds it to those tenants.

    Attributes:
        dev_mode: True when the process runs in development.
        enabled: True to allow it outside development as well.
        default_roles: The roles of a caller who names none; ``*`` stands for all.
        default_actor: The actor when the caller names none.
        tenants: The tenants that exist; empty: any.

    Raises:
        ConfigurationError: The process is not in development and the provider is not enabled.
    """

    dev_mode: bool = False
    enabled: bool = False
    default_roles: frozenset[str] = frozenset()
    default_actor: str = "dev"
    tenants: frozenset[str] = field(default_factory=frozenset)

    def __post_init__(self) -> None:
        if not (self.dev_mode or self.enabled):
            raise ConfigurationError(
                "the development identity trusts any caller, so it is refused outside development: "
                "set an identity provider, or allow it explicitly"
            )

    async def authenticate(self, metadata: Mapping[str, str]) -> Identity:
        """Return the caller that the metadata describes; see `IdentityProvider`."""
        tenant = _tenant_of(metadata.get("x-tenant-id", ""))
        token = metadata.get("authorization")
        if token is not None:
            return self._of_token(token, tenant)
        self._admit(tenant, self.tenants, self.default_actor)
        actor = metadata.get("x-actor") or self.default_actor
        if not _ACTOR.fullmatch(actor):
            raise malformed("x-actor", "must be 1 to 128 printable ASCII characters without spaces")
        roles = metadata.get("x-roles")
        return Identity(tenant, actor, self.default_roles if roles is None else _roles_of(roles))

    def _of_token(self, token: str, tenant: str) -> Identity:
        scheme, _, value = token.partition(" ")
        parts = value.split(":")
        if scheme.lower() != "bearer" or parts[0] != "dev" or len(parts) < 3:
            raise Unauthenticated(
                "TOKEN_UNKNOWN",
                "this service does not support the authorization that was sent; in development it is "
                "'Bearer dev:<actor>:<role,role>'",
            )
        actor, roles, tenants = _token_parts(parts[1:])
        if not _ACTOR.fullmatch(actor):
            raise malformed("authorization", "must name an actor of 1 to 128 printable ASCII characters")
        self._admit(tenant, tenants or self.tenants, actor)
        return Identity(tenant, actor, _roles_of(roles))

    @staticmethod
    def _admit(tenant: str, tenants: Collection[str], actor: str) -> None:
        if tenant and tenants and tenant not in tenants:
            raise PermissionDenied(
                "TENANT_DENIED", f"{actor} may not act for tenant {tenant}", metadata={"tenant": tenant}
            )


def _token_parts(parts: list[str]) -> tuple[str, str, frozenset[str]]:
    """Split ``actor:roles[:tenants]``; the actor may be of the form ``user:ann``."""
    if len(parts) >= 3 and parts[0] in ("user", "service", "saga"):
        parts = [f"{parts[0]}:{parts[1]}", *parts[2:]]
    tenants = frozenset(filter(None, parts[2].split(","))) if len(parts) > 2 else frozenset()
    return parts[0], parts[1], tenants


# Every call repeats the same few values, so checked ones are cached.
@lru_cache(maxsize=1024)
def _tenant_of(tenant: str) -> str:
    if tenant and not _TENANT.fullmatch(tenant):
        rule = "must be 1 to 63 of a-z, 0-9, '-' and '_', starting with a letter or digit"
        raise malformed("x-tenant-id", rule)
    return tenant


@lru_cache(maxsize=1024)
def _roles_of(text: str) -> frozenset[str]:
    roles = frozenset(filter(None, (role.strip() for role in text.split(","))))
    if len(roles) > 50 or not all(_ROLE.fullmatch(role) for role in roles):
        raise malformed(
            "x-roles", "must be at most 50 names of letters, digits and '_.:-', separated by commas"
        )
    return roles
