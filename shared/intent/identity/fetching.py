"""Where the keys of an issuer come from: its OpenID configuration, a URL or a file."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

from intent.identity.issuers import Issuer
from intent.oidc import MOST_BYTES, IssuerUnavailable, discovered, document, json_object, session

__all__ = ["fetched_keys"]


async def fetched_keys(issuer: Issuer) -> list[Any]:
    """Return the entries of an issuer's JWKS.

    Raises:
        IssuerUnavailable: They cannot be read, or are no JWKS; says why.
    """
    if issuer.jwks_file:
        text = await asyncio.to_thread(_read, issuer.jwks_file)
        return _entries(json_object(text, issuer.jwks_file), issuer.jwks_file)
    async with session(*await asyncio.to_thread(_access, issuer)) as calls:
        url = issuer.jwks_url or await discovered(calls, issuer.name, issuer.discovery, "jwks_uri")
        return _entries(await document(calls, url), url)


def _access(issuer: Issuer) -> tuple[ssl.SSLContext | None, str]:
    """Return the authorities that are believed, None for the system's, and the token that an issuer wants."""
    authorities = None
    if issuer.ca_file:
        try:
            authorities = ssl.create_default_context(cafile=issuer.ca_file)
        except OSError as error:
            why = f"{issuer.ca_file} cannot be used as authorities: {error.strerror or error}"
            raise IssuerUnavailable(why) from None
    token = _read(issuer.token_file).decode("ascii", "replace").strip() if issuer.token_file else ""
    return authorities, token


def _read(path: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            return file.read(MOST_BYTES)
    except OSError as error:
        raise IssuerUnavailable(f"{path} cannot be read: {error.strerror}") from None


def _entries(document: dict[str, Any], where: str) -> list[Any]:
    keys = document.get("keys")
    if not isinstance(keys, list):
        raise IssuerUnavailable(f"{where} is no JWKS: it has no list of keys")
    return keys
