"""The issuers whose tokens a process accepts, from its settings."""

from __future__ import annotations

from intent.errors import ConfigurationError
from intent.identity import Claims, Issuer, ServiceAccount, ServiceAccounts, is_actor, is_role, is_tenant
from intent.settings.config import Settings
from intent.settings.issuers import IssuerSettings, ServiceAccountSettings

__all__ = ["issuers_of", "workloads_of"]


def issuers_of(settings: Settings) -> list[Issuer]:
    """Return the issuers whose tokens are accepted; none in mode ``dev``.

    Raises:
        ConfigurationError: There is none in mode ``token``, or one of them cannot be used.
    """
    if settings.identity_mode == "dev":
        return []
    if not settings.identity_issuers and not settings.identity_workloads:
        raise ConfigurationError(
            "INTENT_IDENTITY_MODE is token, and no issuer of tokens is set: set INTENT_IDENTITY_ISSUERS to "
            "the URL of one and INTENT_IDENTITY_AUDIENCE to the audience of its tokens; or, where only "
            "trusted callers reach the port, set INTENT_IDENTITY_MODE=dev"
        )
    issuers = [_issuer(issuer, settings) for issuer in settings.identity_issuers]
    if len({issuer.name for issuer in issuers}) < len(issuers):
        raise ConfigurationError("INTENT_IDENTITY_ISSUERS names an issuer twice; name each once")
    return issuers


def workloads_of(settings: Settings) -> dict[str, ServiceAccount]:
    """Return the workloads that are identified by their certificates, by their SPIFFE ids.

    There are none in mode ``dev``.

    Raises:
        ConfigurationError: One of them cannot be used, or clients show no certificates.
    """
    if settings.identity_mode == "dev":
        return {}
    if settings.identity_workloads and settings.tls_clients == "off":
        raise ConfigurationError(
            "INTENT_IDENTITY_WORKLOADS is set, and clients show no certificates: set INTENT_TLS_CLIENTS to "
            "required or optional"
        )
    return _service_accounts(settings.identity_workloads, "INTENT_IDENTITY_WORKLOADS, the workload")


def _issuer(given: IssuerSettings, settings: Settings) -> Issuer:
    audiences = frozenset(given.audience or settings.identity_audience)
    if not audiences:
        raise ConfigurationError(
            f"no audience is set for tokens of {given.issuer}: set INTENT_IDENTITY_AUDIENCE, or audience in "
            "INTENT_IDENTITY_ISSUERS"
        )
    return Issuer(
        name=given.issuer,
        audiences=audiences,
        discovery=given.discovery,
        jwks_url=given.jwks_url,
        jwks_file=given.jwks_file,
        ca_file=given.ca_file,
        token_file=given.token_file,
        claims=_claims(given, settings),
    )


def _claims(given: IssuerSettings, settings: Settings) -> Claims | ServiceAccounts:
    def chosen(own: str | None, common: str) -> str:
        return common if own is None else own

    any_tenant_role = chosen(given.any_tenant_role, settings.identity_any_tenant_role)
    if given.service_accounts:
        accounts = _service_accounts(given.service_accounts, "INTENT_IDENTITY_ISSUERS, the ServiceAccount")
        return ServiceAccounts(accounts, any_tenant_role)
    return Claims(
        actor=chosen(given.actor_claim, settings.identity_actor_claim),
        actor_prefix=chosen(given.actor_prefix, settings.identity_actor_prefix),
        tenants=chosen(given.tenants_claim, settings.identity_tenants_claim),
        roles=chosen(given.roles_claim, settings.identity_roles_claim),
        any_tenant_role=any_tenant_role,
    )


def _service_accounts(given: dict[str, ServiceAccountSettings], what: str) -> dict[str, ServiceAccount]:
    accounts: dict[str, ServiceAccount] = {}
    owners: dict[str, str] = {}
    for name, account in given.items():
        actor = account.actor or f"service:{name.rpartition('/')[2]}"
        _require(is_actor(actor), f"{what} {name}", f"{actor} is no actor")
        for role in account.roles:
            _require(is_role(role), f"{what} {name}", f"{role} is no role that can be given")
        for tenant in account.tenants:
            _require(is_tenant(tenant), f"{what} {name}", f"{tenant} is no tenant")
        other = owners.setdefault(actor, name)
        _require(
            other == name, f"{what} {name}", f"{other} is {actor} already; give each an actor of its own"
        )
        accounts[name] = ServiceAccount(actor, frozenset(account.roles), frozenset(account.tenants))
    return accounts


def _require(holds: bool, whose: str, problem: str) -> None:
    if not holds:
        raise ConfigurationError(f"{whose}: {problem}")
