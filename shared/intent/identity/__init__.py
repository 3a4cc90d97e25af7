"""Who calls, for which tenant, with which roles: from tokens or, in development, from plain metadata."""

from intent.identity.callers import (
    EVERY_ROLE,
    Identity,
    IdentityProvider,
    authorize,
    is_actor,
    is_role,
    is_tenant,
    may_expect,
    owner_for,
    require_every_tenant,
    require_tenant,
)
from intent.identity.certificates import CertificateIdentityProvider
from intent.identity.dev import DevIdentityProvider
from intent.identity.issuers import Claims, Issuer
from intent.identity.keys import IssuerKeys
from intent.identity.service_accounts import ServiceAccount, ServiceAccounts
from intent.identity.tokens import TokenIdentityProvider

__all__ = [
    "EVERY_ROLE",
    "CertificateIdentityProvider",
    "Claims",
    "DevIdentityProvider",
    "Identity",
    "IdentityProvider",
    "Issuer",
    "IssuerKeys",
    "ServiceAccount",
    "ServiceAccounts",
    "TokenIdentityProvider",
    "authorize",
    "is_actor",
    "is_role",
    "is_tenant",
    "may_expect",
    "owner_for",
    "require_every_tenant",
    "require_tenant",
]
