"""Where the keys of an issuer come from: its OpenID configuration, a URL or a file."""

from __future__ import annotations

import asyncio
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
    async with session() as calls:
        url = issuer.jwks_url or await discovered(calls, issuer.name, issuer.discovery, "jwks_uri")
        return _entries(await document(calls, url), url)


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
