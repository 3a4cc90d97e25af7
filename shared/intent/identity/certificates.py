"""The identity of workloads: the SPIFFE id in the certificate that a client has shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from intent.errors import Unauthenticated
from intent.identity.callers import Identity, IdentityProvider, denied, tenant_of
from intent.identity.service_accounts import ServiceAccount
from intent.wire.metadata import malformed

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

    async def authenticate(self, metadata: Mapping[str, str], certificate: str = "") -> Identity:
        """Return the caller; see `IdentityProvider`."""
        if not certificate or "authorization" in metadata:
            return await self.others.authenticate(metadata)
        workload = self.known.get(certificate)
        if workload is None:
            raise Unauthenticated(
                "CERTIFICATE_UNKNOWN",
                f"the certificate of {certificate} is not one that may call here; send a token, or have it "
                "named in INTENT_IDENTITY_WORKLOADS",
            )
        for key in ("x-actor", "x-roles"):
            if key in metadata:
                raise malformed(key, "is not accepted here, where a certificate says who calls; leave it out")
        return self._acting_for(workload, tenant_of(metadata.get("x-tenant-id", "")))

    def _acting_for(self, workload: ServiceAccount, tenant: str) -> Identity:
        any_tenant = self.any_tenant_role in workload.roles
        if not tenant and len(workload.tenants) == 1:
            (tenant,) = workload.tenants
        elif tenant and tenant not in workload.tenants and not any_tenant:
            raise denied(workload.actor, tenant)
        every = any_tenant or not workload.tenants
        return Identity(tenant, workload.actor, workload.roles, every_tenant=every)
