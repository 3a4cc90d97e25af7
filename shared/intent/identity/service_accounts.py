"""ServiceAccounts of Kubernetes as callers: which of them may call, as whom, with which roles."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from intent.identity.issuers import invalid

__all__ = ["ServiceAccount", "ServiceAccounts"]

_SUBJECT: Final = re.compile(r"system:serviceaccount:([a-z0-9-]+):([a-z0-9.-]+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """What the pods of a ServiceAccount are to the platform.

    Attributes:
        actor: Who they are, e.g. ``service:shipping``.
        roles: What they may do.
        tenants: For which tenants.
    """

    actor: str
    roles: frozenset[str]
    tenants: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ServiceAccounts:
    """Reads tokens of Kubernetes as `Claims` reads those of others: by their subject alone.

    A ServiceAccount that is not named is refused, since every pod of a cluster has a token.

    Attributes:
        known: Those that may call, by ``<namespace>/<name>``.
        any_tenant_role: The role that may act for every tenant; empty: none.
    """

    known: Mapping[str, ServiceAccount]
    any_tenant_role: str = ""

    def actor_of(self, claims: Mapping[str, Any]) -> str:
        """Return the actor that a token stands for.

        Raises:
            Unauthenticated: Its ServiceAccount may not call, or it is none of one.
        """
        return self._account(claims).actor

    def tenants_of(self, claims: Mapping[str, Any]) -> frozenset[str]:
        """Return the tenants for which it may act; see `actor_of`."""
        return self._account(claims).tenants

    def binds(self, claims: Mapping[str, Any]) -> bool:
        """Return whether it is bound to tenants: where the settings name some; see `actor_of`."""
        return bool(self._account(claims).tenants)

    def roles_of(self, claims: Mapping[str, Any]) -> frozenset[str]:
        """Return the roles that it has; see `actor_of`."""
        return self._account(claims).roles

    def _account(self, claims: Mapping[str, Any]) -> ServiceAccount:
        subject = _SUBJECT.fullmatch(str(claims.get("sub", "")))
        if subject is None:
            raise invalid("its subject is no ServiceAccount")
        found = self.known.get(f"{subject[1]}/{subject[2]}")
        if found is None:
            raise invalid(f"the ServiceAccount {subject[1]}/{subject[2]} is not one that may call here")
        return found
