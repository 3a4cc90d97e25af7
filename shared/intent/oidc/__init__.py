"""What an issuer of tokens serves over HTTP: its OpenID configuration, and JSON documents in general."""

from intent.oidc.documents import (
    MOST_BYTES,
    IssuerUnavailable,
    discovered,
    document,
    json_object,
    posted,
    session,
)

__all__ = [
    "MOST_BYTES",
    "IssuerUnavailable",
    "discovered",
    "document",
    "json_object",
    "posted",
    "session",
]
