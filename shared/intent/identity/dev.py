"""The identity of development: the metadata is believed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from intent.errors import ConfigurationError, Unauthenticated
from intent.identity.callers import ACTOR, ROLE, Identity, denied, tenant_of
from intent.wire.metadata import malformed

__all__ = ["DevIdentityProvider"]


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

    async def authenticate(
        self, metadata: Mapping[str, str], certificate: Callable[[], str] = str
    ) -> Identity:
        """Return the caller that the metadata describes; see `IdentityProvider`."""
        tenant = tenant_of(metadata.get("x-tenant-id", ""))
        token = metadata.get("authorization")
        if token is not None:
            return self._of_token(token, tenant)
        self._admit(tenant, self.tenants, self.default_actor)
        actor = metadata.get("x-actor") or self.default_actor
        if not ACTOR.fullmatch(actor):
            raise malformed("x-actor", "must be 1 to 128 printable ASCII characters without spaces")
        roles = metadata.get("x-roles")
        granted = self.default_roles if roles is None else _roles_of(roles)
        return Identity(tenant, actor, granted, every_tenant=not self.tenants)

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
        if not ACTOR.fullmatch(actor):
            raise malformed("authorization", "must name an actor of 1 to 128 printable ASCII characters")
        self._admit(tenant, tenants or self.tenants, actor)
        every = not (tenants or self.tenants)
        return Identity(tenant, actor, _roles_of(roles), every_tenant=every)

    @staticmethod
    def _admit(tenant: str, tenants: Collection[str], actor: str) -> None:
        if tenant and tenants and tenant not in tenants:
            raise denied(actor, tenant)


def _token_parts(parts: list[str]) -> tuple[str, str, frozenset[str]]:
    """Split ``actor:roles[:tenants]``; the actor may be of the form ``user:ann``."""
    if len(parts) >= 3 and parts[0] in ("user", "service", "saga"):
        parts = [f"{parts[0]}:{parts[1]}", *parts[2:]]
    tenants = frozenset(filter(None, parts[2].split(","))) if len(parts) > 2 else frozenset()
    return parts[0], parts[1], tenants


@lru_cache(maxsize=1024)
def _roles_of(text: str) -> frozenset[str]:
    roles = frozenset(filter(None, (role.strip() for role in text.split(","))))
    if len(roles) > 50 or not all(ROLE.fullmatch(role) for role in roles):
        raise malformed(
            "x-roles", "must be at most 50 names of letters, digits and '_.:-', separated by commas"
        )
    return roles
