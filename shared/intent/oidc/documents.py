"""JSON documents over HTTP, and the OpenID configuration among them."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote_plus, unquote_plus

import aiohttp

from intent.addresses import is_protected

__all__ = ["MOST_BYTES", "IssuerUnavailable", "discovered", "document", "json_object", "posted", "session"]

MOST_BYTES: Final = 512 * 1024
_SECONDS: Final = 5.0
_GRANTED: Final = 200
_SECRETS: Final = ("client_secret", "refresh_token", "device_code", "code", "code_verifier", "password")
"""The fields of a form that are secret."""
_LATER: Final = (408, 429)
"""Statuses by which a server says to try again later."""
_CONFIGURATION: Final = "/.well-known/openid-configuration"


class IssuerUnavailable(Exception):
    """What is needed of an issuer cannot be had now; says why."""


def session(
    authorities: ssl.SSLContext | None = None, token: str = "", *, seconds: float = _SECONDS
) -> aiohttp.ClientSession:
    """Return a session for calls of issuers, to be closed.

    Proxies and their exceptions come from the environment, as for other programs.

    Args:
        authorities: Those whose certificates are believed; None: the system's.
        token: A token to send with each call; empty: none.
        seconds: How long each call may take.
    """
    return aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=seconds),
        connector=aiohttp.TCPConnector(ssl=authorities or True),
        headers={"Authorization": f"Bearer {token}"} if token else None,
        trust_env=True,
    )


async def document(calls: aiohttp.ClientSession, url: str) -> dict[str, Any]:
    """Return the JSON object that a URL serves.

    Raises:
        IssuerUnavailable: There is none.
    """
    status, body = await _answer(calls, "GET", url)
    if status != 200:
        raise IssuerUnavailable(f"{url} answers with status {status}")
    return json_object(body, url)


async def posted(
    calls: aiohttp.ClientSession, url: str, form: Mapping[str, str], headers: Mapping[str, str]
) -> tuple[int, dict[str, Any]]:
    """Return the status and the JSON object with which a URL answers a form.

    What a refusal repeats of the secrets that were sent is left out, for somebody will show it.

    Raises:
        IssuerUnavailable: There is no answer, or it is no JSON object.
    """
    status, body = await _answer(calls, "POST", url, data=form, headers=headers)
    if status >= 500 or status in _LATER:
        raise IssuerUnavailable(f"{url} answers with status {status}")
    answer = json_object(body, f"what {url} answers (status {status})")
    return status, answer if status == _GRANTED else _without(answer, _secrets_of(form, headers))


def _secrets_of(form: Mapping[str, str], headers: Mapping[str, str]) -> list[str]:
    """Return the secrets of a request in all forms in which they are sent, the longest first."""
    scheme, _, shown = headers.get("authorization", "").partition(" ")
    secrets = [shown, *(form[name] for name in _SECRETS if name in form)]
    if scheme == "Basic":
        secrets.append(unquote_plus(base64.b64decode(shown).decode().partition(":")[2]))
    return sorted({*secrets, *map(quote_plus, secrets)} - {""}, key=len, reverse=True)


def _without(answer: Mapping[str, Any], secrets: Sequence[str]) -> dict[str, Any]:
    """Return a refusal without the secrets in it."""
    kept = {}
    for name, value in answer.items():
        text = str(value)
        for secret in secrets:
            text = text.replace(secret, "…")
        kept[name] = value if text == str(value) else text
    return kept


async def discovered(calls: aiohttp.ClientSession, issuer: str, url: str, endpoint: str) -> str:
    """Return the URL of one of an issuer's endpoints, as its OpenID configuration has it.

    Args:
        calls: Calls issuers.
        issuer: The issuer's name.
        url: Where its configuration is; empty: below its name.
        endpoint: Which one, e.g. ``jwks_uri``.

    Raises:
        IssuerUnavailable: The configuration cannot be had, is another issuer's, or names none that is
            protected.
    """
    url = url or issuer.rstrip("/") + _CONFIGURATION
    configuration = await document(calls, url)
    if configuration.get("issuer") != issuer:
        raise IssuerUnavailable(
            f"{url} is the configuration of another issuer: {configuration.get('issuer')!r:.200}"
        )
    found = configuration.get(endpoint)
    if not isinstance(found, str) or not is_protected(found):
        raise IssuerUnavailable(f"{url} names no {endpoint} that begins with https://")
    return found


def json_object(text: bytes, where: str) -> dict[str, Any]:
    """Return the JSON object that a text is.

    Raises:
        IssuerUnavailable: It is none; `where` says what.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise IssuerUnavailable(f"{where} is no JSON object")
    return found


async def _answer(calls: aiohttp.ClientSession, method: str, url: str, **request: Any) -> tuple[int, bytes]:
    try:
        async with calls.request(method, url, allow_redirects=False, **request) as response:
            body = bytearray()
            async for chunk in response.content.iter_chunked(64 * 1024):
                body += chunk
                if len(body) > MOST_BYTES:
                    raise IssuerUnavailable(f"{url} answers with more than {MOST_BYTES // 1024} KiB")
            return response.status, bytes(body)
    except TimeoutError:
        raise IssuerUnavailable(f"{url} does not answer within {calls.timeout.total:g} seconds") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise IssuerUnavailable(f"{url} cannot be fetched: {error}") from None
