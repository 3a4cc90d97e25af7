"""Where the keys of an issuer come from: its OpenID configuration, a URL or a file."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any, Final

import aiohttp

from intent.addresses import is_protected
from intent.identity.issuers import Issuer

__all__ = ["KeysUnavailable", "fetched_keys"]

_SECONDS: Final = 5.0
_BYTES: Final = 512 * 1024
_CONFIGURATION: Final = "/.well-known/openid-configuration"


class KeysUnavailable(Exception):
    """The keys of an issuer cannot be had now."""


async def fetched_keys(issuer: Issuer) -> list[Any]:
    """Return the entries of an issuer's JWKS.

    Raises:
        KeysUnavailable: They cannot be read, or are no JWKS; says why.
    """
    if issuer.jwks_file:
        text = await asyncio.to_thread(_read, issuer.jwks_file)
        return _entries(_parsed(text, issuer.jwks_file), issuer.jwks_file)
    # Proxies and their exceptions come from the environment, as for other programs.
    timeout = aiohttp.ClientTimeout(total=_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout, trust_env=True) as session:
        url = issuer.jwks_url or await _discovered(session, issuer)
        return _entries(await _document(session, url), url)


async def _discovered(session: aiohttp.ClientSession, issuer: Issuer) -> str:
    url = issuer.discovery or issuer.name.rstrip("/") + _CONFIGURATION
    document = await _document(session, url)
    if document.get("issuer") != issuer.name:
        raise KeysUnavailable(
            f"{url} is the configuration of another issuer: {document.get('issuer')!r:.200}"
        )
    found = document.get("jwks_uri")
    if not isinstance(found, str) or not is_protected(found):
        raise KeysUnavailable(f"{url} names no jwks_uri that begins with https://")
    return found


async def _document(session: aiohttp.ClientSession, url: str) -> dict[str, Any]:
    try:
        async with session.get(url, allow_redirects=False) as response:
            if response.status != 200:
                raise KeysUnavailable(f"{url} answers with status {response.status}")
            body = bytearray()
            async for chunk in response.content.iter_chunked(64 * 1024):
                body += chunk
                if len(body) > _BYTES:
                    raise KeysUnavailable(f"{url} answers with more than {_BYTES // 1024} KiB")
    except TimeoutError:
        raise KeysUnavailable(f"{url} does not answer within {_SECONDS:g} seconds") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise KeysUnavailable(f"{url} cannot be fetched: {error}") from None
    return _parsed(bytes(body), url)


def _read(path: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            return file.read(_BYTES)
    except OSError as error:
        raise KeysUnavailable(f"{path} cannot be read: {error.strerror}") from None


def _parsed(text: bytes, where: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise KeysUnavailable(f"{where} is no JSON object")
    return document


def _entries(document: dict[str, Any], where: str) -> list[Any]:
    keys = document.get("keys")
    if not isinstance(keys, list):
        raise KeysUnavailable(f"{where} is no JWKS: it has no list of keys")
    return keys
