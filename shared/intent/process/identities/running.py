"""How a context process identifies its callers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from intent.background import Background, stop_all
from intent.errors import ConfigurationError
from intent.identity import (
    CertificateIdentityProvider,
    DevIdentityProvider,
    IdentityProvider,
    IssuerKeys,
    TokenIdentityProvider,
)
from intent.process.identities.issuers import issuers_of, workloads_of
from intent.settings.config import Settings

__all__ = ["running_identities"]

_PATIENCE: Final = 5.0
"""Seconds for which the start waits for keys; a server without them answers UNAVAILABLE."""


@asynccontextmanager
async def running_identities(settings: Settings, background: Background) -> AsyncIterator[IdentityProvider]:
    """Identify callers for the duration of the context manager; keep the keys of issuers fresh.

    Raises:
        ConfigurationError: The settings name no issuer, a file with keys that cannot be used, or a
            workload that cannot be.
    """
    if settings.identity_mode == "dev":
        roles = frozenset(settings.dev_roles)
        yield DevIdentityProvider(dev_mode=settings.dev, enabled=True, default_roles=roles)
        return
    workloads, any_tenant = workloads_of(settings), settings.identity_any_tenant_role
    keys = [IssuerKeys(issuer, interval=settings.identity_refresh) for issuer in issuers_of(settings)]
    await asyncio.gather(*(each.refresh(_PATIENCE) for each in keys))
    for each in keys:
        if each.issuer.jwks_file and each.problem:
            raise ConfigurationError(f"INTENT_IDENTITY_ISSUERS: {each.problem}")
    tasks = [background.start(f"keys of {each.issuer.name}", each.run) for each in keys]
    try:
        tokens = TokenIdentityProvider(keys, leeway=settings.identity_leeway)
        yield CertificateIdentityProvider(workloads, tokens, any_tenant) if workloads else tokens
    finally:
        await stop_all(tasks)
        await asyncio.gather(*(each.stop() for each in keys))
