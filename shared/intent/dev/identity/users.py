"""Who may log in at the issuer of `intent dev`: users of two shops, and an operator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["ANY_TENANT_ROLE", "AUDIENCE", "CLIENT_ID", "USERS", "DevUser"]

AUDIENCE: Final = "intent"
"""What the issuer's tokens are for."""
CLIENT_ID: Final = "intent-cli"
"""How the command line is called there; it has no secret, as nothing that people install keeps one."""
ANY_TENANT_ROLE: Final = "any-tenant"
"""The role that may act for every tenant."""


@dataclass(frozen=True, slots=True)
class DevUser:
    """A user of the issuer.

    Attributes:
        name: The name, by which the user logs in.
        about: Who it is.
        roles: What it may do.
        tenants: For which tenants; none: for what concerns all.
    """

    name: str
    about: str
    roles: tuple[str, ...]
    tenants: tuple[str, ...] = ()


USERS: Final = (
    DevUser("ann", "a customer of acme", ("customer",), ("acme",)),
    DevUser("bob", "a customer of globex", ("customer",), ("globex",)),
    DevUser("shop", "the shop of acme, for the tour", ("customer", "service"), ("acme",)),
    DevUser("ops", "an operator", ("operator", "service", "consumer-all", ANY_TENANT_ROLE)),
)
