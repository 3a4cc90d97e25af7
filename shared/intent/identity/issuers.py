"""Who issues tokens, and which of their claims say what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from intent.errors import Unauthenticated
from intent.identity.callers import is_actor, is_role, is_tenant

if TYPE_CHECKING:
    from intent.identity.service_accounts import ServiceAccounts

__all__ = ["Claims", "Issuer", "invalid"]


@dataclass(frozen=True, slots=True)
class Claims:
    """Which claims of a token say who calls, for which tenants, with which roles.

    A claim is named by its name, or by a path of names with dots between them.

    Attributes:
        actor: The claim with the name of the caller.
        actor_prefix: What is put before that name.
        tenants: The claim with the tenants: a list, or words separated by spaces or commas.
        roles: The claim with the roles: likewise.
        any_tenant_role: The role that may act for every tenant; empty: none.
    """

    actor: str = "sub"
    actor_prefix: str = "user:"
    tenants: str = "tenants"
    roles: str = "roles"
    any_tenant_role: str = ""

    def actor_of(self, claims: Mapping[str, Any]) -> str:
        """Return the actor that a token names.

        Raises:
            Unauthenticated: It names none, or not by a text that can be one.
        """
        name = _at(claims, self.actor)
        actor = f"{self.actor_prefix}{name}"
        if not isinstance(name, str) or not name or not is_actor(actor):
            raise invalid(f"its claim {self.actor} does not name an actor of 1 to 128 printable characters")
        return actor

    def tenants_of(self, claims: Mapping[str, Any]) -> frozenset[str]:
        """Return the tenants that a token names, without those that can be none."""
        return frozenset(word for word in _words(_at(claims, self.tenants)) if is_tenant(word))

    def binds(self, claims: Mapping[str, Any]) -> bool:
        """Return whether a token is bound to tenants: also one that names none, or none that can be one."""
        return _at(claims, self.tenants) is not None

    def roles_of(self, claims: Mapping[str, Any]) -> frozenset[str]:
        """Return the roles that a token grants, without `EVERY_ROLE` and those that can be none."""
        words = _words(_at(claims, self.roles))
        return frozenset(word for word in words if is_role(word))


@dataclass(frozen=True, slots=True)
class Issuer:
    """One issuer of tokens.

    Attributes:
        name: What its tokens have as ``iss``.
        audiences: Its tokens must be for one of these (``aud``).
        discovery: Where its OpenID configuration is, which says where its keys are; empty: below its name.
        jwks_url: Where its keys are; empty: the OpenID configuration says it.
        jwks_file: The file with its keys; empty: they are fetched.
        ca_file: The file with the authorities of its certificate; empty: the system's.
        token_file: The file with the token that it wants of whoever fetches its keys; empty: it wants none.
        claims: Which claims say what, or which ServiceAccounts may call.
    """

    name: str
    audiences: frozenset[str]
    discovery: str = ""
    jwks_url: str = ""
    jwks_file: str = ""
    ca_file: str = ""
    token_file: str = ""
    claims: Claims | ServiceAccounts = field(default_factory=Claims)


def invalid(why: str) -> Unauthenticated:
    """Return the error for a token that is not accepted; `why` goes on after "the token is not valid: "."""
    return Unauthenticated("TOKEN_INVALID", f"the token is not valid: {why}")


def _at(claims: Mapping[str, Any], path: str) -> Any:
    """Return the value of a claim; None when there is none.

    The whole path is tried as a name first: names may be URLs.
    """
    if path in claims:
        return claims[path]
    value: Any = claims
    for name in path.split("."):
        if not isinstance(value, Mapping) or name not in value:
            return None
        value = value[name]
    return value


def _words(value: Any) -> list[str]:
    if isinstance(value, str):
        return value.replace(",", " ").split()
    return [word for word in value if isinstance(word, str)] if isinstance(value, list) else []
