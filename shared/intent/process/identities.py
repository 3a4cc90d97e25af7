"""How a context process identifies its callers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from intent.background import Background, stop_all
from intent.errors import ConfigurationError
from intent.identity import (
    Claims,
    DevIdentityProvider,
    IdentityProvider,
    Issuer,
    IssuerKeys,
    TokenIdentityProvider,
)
from intent.settings.config import Settings
from intent.settings.issuers import IssuerSettings

__all__ = ["issuers_of", "running_identities"]

_PATIENCE: Final = 5.0
"""Seconds for which the start waits for keys; a server without them answers UNAVAILABLE."""


def issuers_of(settings: Settings) -> list[Issuer]:
    """Return the issuers whose tokens are accepted; none in mode ``dev``.

    Raises:
        ConfigurationError: There is none in mode ``token``, or one of them cannot be used.
    """
    if settings.identity_mode == "dev":
        return []
    if not settings.identity_issuers:
        raise ConfigurationError(
            "INTENT_IDENTITY_MODE is token, and no issuer of tokens is set: set INTENT_IDENTITY_ISSUERS to "
            "the URL of one and INTENT_IDENTITY_AUDIENCE to the audience of its tokens; or, where only "
            "trusted callers reach the port, set INTENT_IDENTITY_MODE=dev"
        )
    issuers = [_issuer(issuer, settings) for issuer in settings.identity_issuers]
    if len({issuer.name for issuer in issuers}) < len(issuers):
        raise ConfigurationError("INTENT_IDENTITY_ISSUERS names an issuer twice; name each once")
    return issuers


@asynccontextmanager
async def running_identities(settings: Settings, background: Background) -> AsyncIterator[IdentityProvider]:
    """Identify callers for the duration of the context manager; keep the keys of issuers fresh.

    Raises:
        ConfigurationError: The settings name no issuer, or a file with keys that cannot be used.
    """
    if settings.identity_mode == "dev":
        roles = frozenset(settings.dev_roles)
        yield DevIdentityProvider(dev_mode=settings.dev, enabled=True, default_roles=roles)
        return
    keys = [IssuerKeys(issuer, interval=settings.identity_refresh) for issuer in issuers_of(settings)]
    await asyncio.gather(*(each.refresh(_PATIENCE) for each in keys))
    for each in keys:
        if each.issuer.jwks_file and each.problem:
            raise ConfigurationError(f"INTENT_IDENTITY_ISSUERS: {each.problem}")
    tasks = [background.start(f"keys of {each.issuer.name}", each.run) for each in keys]
    try:
        yield TokenIdentityProvider(keys, leeway=settings.identity_leeway)
    finally:
        await stop_all(tasks)
        await asyncio.gather(*(each.stop() for each in keys))


def _issuer(given: IssuerSettings, settings: Settings) -> Issuer:
    audiences = frozenset(given.audience or settings.identity_audience)
    if not audiences:
        raise ConfigurationError(
            f"no audience is set for tokens of {given.issuer}: set INTENT_IDENTITY_AUDIENCE, or audience in "
            "INTENT_IDENTITY_ISSUERS"
        )

    def chosen(own: str | None, common: str) -> str:
        return common if own is None else own

    return Issuer(
        name=given.issuer,
        audiences=audiences,
        discovery=given.discovery,
        jwks_url=given.jwks_url,
        jwks_file=given.jwks_file,
        claims=Claims(
            actor=chosen(given.actor_claim, settings.identity_actor_claim),
            actor_prefix=chosen(given.actor_prefix, settings.identity_actor_prefix),
            tenants=chosen(given.tenants_claim, settings.identity_tenants_claim),
            roles=chosen(given.roles_claim, settings.identity_roles_claim),
            any_tenant_role=chosen(given.any_tenant_role, settings.identity_any_tenant_role),
        ),
    )
