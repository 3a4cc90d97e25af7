"""What a token endpoint grants, and how a program shows it who it is (RFC 6749)."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus

from intent.escaping import escaped
from intent.oidc.documents import IssuerUnavailable

__all__ = ["Grant", "GrantRefused", "basic", "grant_of"]

_SHOWN = 300


@dataclass(frozen=True, slots=True)
class Grant:
    """An access token with what belongs to it.

    Attributes:
        access_token: The token.
        seconds: For how long it counts; None: the endpoint does not say.
        refresh_token: The token for another one; empty: there is none.
    """

    access_token: str = field(repr=False)
    seconds: float | None = None
    refresh_token: str = field(default="", repr=False)


class GrantRefused(Exception):
    """The endpoint grants no token; says why, in its words.

    Attributes:
        code: The error's name in RFC 6749 or RFC 8628, e.g. ``invalid_grant``; empty: there is none.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def basic(client_id: str, secret: str) -> str:
    """Return the value of the header ``Authorization`` by which a client shows its secret."""
    pair = f"{quote_plus(client_id)}:{quote_plus(secret)}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def grant_of(status: int, answer: Mapping[str, Any], url: str) -> Grant:
    """Return what a token endpoint has granted.

    Args:
        status: The status of its answer.
        answer: The answer.
        url: The endpoint, for messages.

    Raises:
        GrantRefused: It grants nothing.
        IssuerUnavailable: It grants something that is no bearer token.
    """
    if status != 200:
        said = " ".join(str(answer[key]) for key in ("error", "error_description") if key in answer)
        why = escaped(said)[:_SHOWN] or "it does not say why"
        raise GrantRefused(str(answer.get("error", "")), f"status {status}: {why}")
    token, kind = answer.get("access_token"), answer.get("token_type")
    if not isinstance(token, str) or str(kind).lower() != "bearer":
        raise IssuerUnavailable(f"{url} answers without a bearer token")
    seconds, refresh = answer.get("expires_in"), answer.get("refresh_token")
    return Grant(
        token,
        float(seconds) if isinstance(seconds, int) and seconds > 0 else None,
        refresh if isinstance(refresh, str) else "",
    )
