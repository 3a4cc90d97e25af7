"""The kinds of values that settings have."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import NoDecode

from intent.errors import ConfigurationError
from intent.settings.database_urls import FORM, database_url

__all__ = ["Addresses", "BuildId", "DatabaseUrl", "DeploymentName", "Port", "Seconds", "Words"]


def _words(value: object) -> Any:
    return [word.strip() for word in value.split(",") if word.strip()] if isinstance(value, str) else value


def _made_of(pattern: str, words: str) -> AfterValidator:
    """Return a validator of a name that may be empty."""

    def check(value: str) -> str:
        if value and not re.fullmatch(pattern, value):
            raise ValueError(f"must be made of {words}")
        return value

    return AfterValidator(check)


def _addresses(value: object) -> object:
    if not isinstance(value, str):
        return value
    pairs = [word.partition("=") for word in _words(value)]
    if not all(name.strip() and address.strip() for name, _, address in pairs):
        raise ValueError("must be like orders=127.0.0.1:7401,inventory=127.0.0.1:7402")
    return {name.strip(): address.strip() for name, _, address in pairs}


def _database_url(value: str) -> str:
    """Refuse a URL without showing it."""
    try:
        if value:
            database_url(value)
    except ConfigurationError:
        raise ValueError(FORM) from None
    return value


Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)]
Addresses = Annotated[dict[str, str], NoDecode, BeforeValidator(_addresses)]
Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(gt=0)]
DatabaseUrl = Annotated[str, AfterValidator(_database_url)]
# Also valid as the value of a Kubernetes label.
BuildId = Annotated[
    str,
    _made_of(
        r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", "letters, digits, '.', '_' and '-', at most 63"
    ),
]
# Without dots: Temporal joins the name and the build id with one.
DeploymentName = Annotated[
    str, _made_of(r"[A-Za-z0-9][A-Za-z0-9_/-]{0,127}", "letters, digits, '/', '_' and '-', at most 128")
]
