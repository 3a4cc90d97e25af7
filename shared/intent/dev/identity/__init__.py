"""Identity by tokens on this machine: an issuer of a package, users for the tour, tokens for the contexts."""

from intent.dev.identity.issuer import DevIssuer
from intent.dev.identity.users import AUDIENCE, CLIENT_ID, USERS, DevUser
from intent.dev.identity.workloads import DevWorkloads

__all__ = ["AUDIENCE", "CLIENT_ID", "USERS", "DevIssuer", "DevUser", "DevWorkloads"]
