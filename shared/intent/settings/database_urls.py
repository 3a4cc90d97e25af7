"""The one reader of PostgreSQL's URLs; what it says of a wrong one shows nothing of it.

It takes what asyncpg takes, and nothing that asyncpg would read differently.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qs, unquote, unquote_plus

from intent.errors import ConfigurationError

__all__ = ["FORM", "DatabaseUrl", "database_url"]

FORM: Final = (
    "must be like postgresql://role:password@host:5432/database, with every character of the password but "
    "letters, digits, '-', '.', '_' and '~' percent-encoded ('/' as %2F, '@' as %40)"
)
_URL: Final = re.compile(
    r"(?:postgresql|postgres)://(?:(?P<login>[^@/?#\[\]]*)@)?(?P<hosts>[^@/?#]*)"
    r"(?P<path>/[^@?#]*)?(?:\?(?P<query>[^@#]*))?"
)
_HOSTS: Final = re.compile(
    r"HOST(?:,HOST)*".replace("HOST", r"(?:\[[0-9A-Fa-f:.]+\]|[^:\[\],]*)(?::\d{1,5})?")
)
_LOGIN: Final = frozenset({"user", "password", "passfile", "sslpassword"})
"""Parameters that say who logs in."""


@dataclass(frozen=True, slots=True)
class DatabaseUrl:
    """A URL of PostgreSQL.

    Attributes:
        place: Hosts, database and parameters: all but the login.
        password: The password of the role, decoded; None: the URL has none.
        parameters: The parameters.
    """

    place: str
    password: str | None = field(repr=False)
    parameters: Mapping[str, str] = field(repr=False)


def database_url(text: str) -> DatabaseUrl:
    """Read a URL.

    Raises:
        ConfigurationError: It is none, or a character in it must be percent-encoded.
    """
    parts = _URL.fullmatch(text)
    if parts is None or not text.isprintable() or not _HOSTS.fullmatch(parts["hosts"]):
        raise ConfigurationError(f"a URL of PostgreSQL {FORM}")
    parameters = _parameters(parts["query"] or "")
    login = parts["login"] or ""
    password = unquote(login.partition(":")[2]) or parameters.get("password")
    place = f"{parts['hosts']}{parts['path'] or ''}?{_without_login(parts['query'] or '')}"
    return DatabaseUrl(place, password or None, parameters)


def _without_login(query: str) -> str:
    return "&".join(part for part in query.split("&") if unquote_plus(part.partition("=")[0]) not in _LOGIN)


def _parameters(query: str) -> dict[str, str]:
    try:
        found = parse_qs(query, strict_parsing=bool(query))
        parameters = {name: values[-1] for name, values in found.items()}
        for port in parameters.get("port", "0").split(","):
            int(port)
    except ValueError:
        raise ConfigurationError(f"a URL of PostgreSQL {FORM}") from None
    return parameters
