"""What a client reads from a token: nothing that it verifies, and nothing that it shows."""

from __future__ import annotations

import base64
import json
import re
from typing import Final

from intent.errors import Unavailable

__all__ = ["authorization_of", "expiry_of"]

_VALUE: Final = re.compile(r"[\x21-\x7e]+( [\x21-\x7e]+)?", re.ASCII)


def authorization_of(token: str, what: str) -> str:
    """Return the value of the metadata ``authorization`` for a token, which may name its own scheme.

    Args:
        token: The token; white space around it does not count.
        what: Where it comes from, for the message.

    Raises:
        Unavailable: It is empty, or no token at all.
    """
    text = token.strip()
    if not _VALUE.fullmatch(text):
        found = (
            "is empty" if not text else "is no token: it has spaces, line breaks or other characters in it"
        )
        raise Unavailable("TOKEN_UNAVAILABLE", f"what {what} gave {found}", retry_after_ms=500)
    return text if " " in text else f"Bearer {text}"


def expiry_of(authorization: str) -> float | None:
    """Return when a token expires, in seconds since 1970; None when it does not say so in a readable way."""
    parts = authorization.rpartition(" ")[2].split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        return float(claims["exp"])
    except (ValueError, TypeError, LookupError, OverflowError, RecursionError):
        return None
