"""What an issuer of tokens serves over HTTP: its OpenID configuration, tokens, and JSON in general."""

from intent.oidc.documents import (
    MOST_BYTES,
    IssuerUnavailable,
    discovered,
    document,
    json_object,
    posted,
    session,
)
from intent.oidc.grants import Grant, GrantRefused, basic, grant_of

__all__ = [
    "MOST_BYTES",
    "Grant",
    "GrantRefused",
    "IssuerUnavailable",
    "basic",
    "discovered",
    "document",
    "grant_of",
    "json_object",
    "posted",
    "session",
]
