"""The issuers of tokens, as settings: JSON, or their URLs alone."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Final, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, field_validator, model_validator
from pydantic_settings import NoDecode

from intent.addresses import is_protected

__all__ = ["IssuerSettings", "Issuers", "ServiceAccountSettings", "Workloads"]

Model = TypeVar("Model", bound=BaseModel)

_SPIFFE: Final = re.compile(r"spiffe://[a-z0-9._-]+(/[A-Za-z0-9._-]+)+", re.ASCII)
_ACCOUNT: Final = re.compile(r"[a-z0-9-]+/[a-z0-9.-]+", re.ASCII)


class ServiceAccountSettings(BaseModel):
    """What the pods of a ServiceAccount of Kubernetes are; a list stands for their roles alone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    actor: str = ""
    roles: tuple[str, ...] = ()
    tenants: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _roles_alone(cls, value: object) -> object:
        return {"roles": value} if isinstance(value, list | tuple) else value


class IssuerSettings(BaseModel):
    """One issuer of tokens; what it leaves out is as the other settings say."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    issuer: str
    audience: tuple[str, ...] = ()
    discovery: str = ""
    jwks_url: str = ""
    jwks_file: str = ""
    ca_file: str = ""
    token_file: str = ""
    service_accounts: dict[str, ServiceAccountSettings] = {}
    actor_claim: str | None = None
    actor_prefix: str | None = None
    tenants_claim: str | None = None
    roles_claim: str | None = None
    any_tenant_role: str | None = None

    @field_validator("audience", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("service_accounts")
    @classmethod
    def _named(cls, value: dict[str, ServiceAccountSettings]) -> dict[str, ServiceAccountSettings]:
        for name in value:
            if not _ACCOUNT.fullmatch(name):
                raise ValueError(f"{name!r} must be <namespace>/<name>")
        return value

    @model_validator(mode="after")
    def _one_reading(self) -> IssuerSettings:
        claims = (self.actor_claim, self.actor_prefix, self.tenants_claim, self.roles_claim)
        if self.service_accounts and any(claim is not None for claim in claims):
            raise ValueError("service_accounts says who calls, so leave out the settings of claims")
        return self

    @model_validator(mode="after")
    def _one_source(self) -> IssuerSettings:
        sources = {"discovery": self.discovery, "jwks_url": self.jwks_url, "jwks_file": self.jwks_file}
        given = [name for name, value in sources.items() if value]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} exclude each other")
        url = self.jwks_url or self.discovery or self.issuer
        if not self.jwks_file and not is_protected(url):
            raise ValueError(
                f"{url} must begin with https:// (http:// only on this machine), or jwks_file name a file"
            )
        return self


def _issuers(value: object) -> Any:
    if not isinstance(value, str):
        return value
    if not value.lstrip().startswith(("[", "{")):
        return tuple(_issuer({"issuer": word.strip()}) for word in value.split(",") if word.strip())
    found = _json(value)
    return tuple(_issuer(entry) for entry in (found if isinstance(found, list) else [found]))


def _issuer(entry: object) -> IssuerSettings:
    return _valid(IssuerSettings, entry)


def _valid(model: type[Model], entry: object) -> Model:
    try:
        return model.model_validate(entry)
    except ValidationError as error:
        problems = (
            f"{'.'.join(map(str, problem['loc']))} {problem['msg']}".strip() for problem in error.errors()
        )
        raise ValueError("; ".join(problems).replace("Value error, ", "")) from None


Issuers = Annotated[tuple[IssuerSettings, ...], NoDecode, BeforeValidator(_issuers)]


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("is no JSON that anybody means: it is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"is no JSON: {error}") from None


def _workloads(value: object) -> Any:
    value = _json(value or "{}") if isinstance(value, str) else value
    if not isinstance(value, dict):
        raise ValueError('must be JSON like {"spiffe://cluster.local/ns/shop/sa/shipping": ["consumer"]}')
    return {name: _workload(name, entry) for name, entry in value.items()}


def _workload(name: str, entry: object) -> ServiceAccountSettings:
    if not _SPIFFE.fullmatch(name):
        raise ValueError(f"{name!r} must be a SPIFFE id, like spiffe://cluster.local/ns/shop/sa/shipping")
    try:
        return _valid(ServiceAccountSettings, entry)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


Workloads = Annotated[dict[str, ServiceAccountSettings], NoDecode, BeforeValidator(_workloads)]
