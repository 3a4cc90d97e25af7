"""The identity of workloads: the SPIFFE id in the certificate that a client has shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from intent.errors import Unauthenticated
from intent.identity.callers import Identity, IdentityProvider, acting_for, refuse_claims, tenant_of
from intent.identity.service_accounts import ServiceAccount

__all__ = ["CertificateIdentityProvider"]


@dataclass(frozen=True, slots=True)
class CertificateIdentityProvider:
    """Identifies callers without a token by their certificate, and all others as another provider does.

    The certificate has been verified by TLS. A workload that is not named is refused: an authority
    issues certificates to many that have no business here.

    Attributes:
        known: The workloads that may call, by SPIFFE id, e.g. ``spiffe://cluster.local/ns/shop/sa/shipping``.
        others: Identifies callers with a token, and those without either.
        any_tenant_role: The role that may act for every tenant; empty: none.
    """

    known: Mapping[str, ServiceAccount]
    others: IdentityProvider
    any_tenant_role: str = ""

    async def authenticate(
        self, metadata: Mapping[str, str], certificate: Callable[[], str] = str
    ) -> Identity:
        """Return the caller; see `IdentityProvider`."""
        shown = "" if "authorization" in metadata else certificate()
        if not shown:
            return await self.others.authenticate(metadata)
        workload = self.known.get(shown)
        if workload is None:
            raise Unauthenticated(
                "CERTIFICATE_UNKNOWN",
                f"the certificate of {shown} is not one that may call here; send a token, or have it "
                "named in INTENT_IDENTITY_WORKLOADS",
            )
        refuse_claims(metadata, "certificate")
        any_tenant = bool(self.any_tenant_role) and self.any_tenant_role in workload.roles
        every = any_tenant or not workload.tenants
        identity = Identity("", workload.actor, workload.roles, every_tenant=every)
        tenant = tenant_of(metadata.get("x-tenant-id", ""))
        return acting_for(tenant, identity, workload.tenants, any_tenant=any_tenant)
