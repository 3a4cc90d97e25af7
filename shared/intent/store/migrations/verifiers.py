"""SCRAM-SHA-256 verifiers of passwords, as PostgreSQL keeps them (RFC 5803).

Who sees a verifier, such as in a log of statements, can neither log in with it nor read the password in it.
"""

from __future__ import annotations

import hmac
import os
import re
import stringprep
import unicodedata
from base64 import b64decode, b64encode
from hashlib import pbkdf2_hmac, sha256
from typing import Final

__all__ = ["fits", "verifier_of"]

_ITERATIONS: Final = 4096
"""PostgreSQL's default; each login computes as many in the client."""
_SALT: Final = 16
_VERIFIER: Final = re.compile(r"SCRAM-SHA-256\$(\d+):([^$]+)\$[^:]+:.+")
_FORBIDDEN: Final = (
    stringprep.in_table_a1,
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)


def verifier_of(password: str) -> str:
    """Return a verifier of a password, with a salt of its own."""
    return _verifier(password, os.urandom(_SALT), _ITERATIONS)


def fits(password: str, verifier: str) -> bool:
    """Return whether a verifier is one of a password."""
    parts = _VERIFIER.fullmatch(verifier)
    if parts is None:
        return False
    again = _verifier(password, b64decode(parts[2]), int(parts[1]))
    return hmac.compare_digest(again, verifier)


def _verifier(password: str, salt: bytes, iterations: int) -> str:
    salted = pbkdf2_hmac("sha256", _prepared(password).encode(), salt, iterations)
    stored = sha256(hmac.digest(salted, b"Client Key", sha256)).digest()
    server = hmac.digest(salted, b"Server Key", sha256)
    return f"SCRAM-SHA-256${iterations}:{_text(salt)}${_text(stored)}:{_text(server)}"


def _text(raw: bytes) -> str:
    return b64encode(raw).decode()


def _prepared(password: str) -> str:
    """Return a password as clients send it (SASLprep, RFC 4013); as it is where that forbids a character."""
    if password.isascii():
        return password
    mapped = (" " if stringprep.in_table_c12(c) else c for c in password if not stringprep.in_table_b1(c))
    normal = unicodedata.ucd_3_2_0.normalize("NFKC", "".join(mapped))
    forbidden = any(table(c) for c in normal for table in _FORBIDDEN)
    return password if not normal or forbidden or not _one_direction(normal) else normal


def _one_direction(text: str) -> bool:
    """Return whether text of a right-to-left script has no letters of others, and begins and ends so."""
    if not any(map(stringprep.in_table_d1, text)):
        return True
    ends = stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1])
    return ends and not any(map(stringprep.in_table_d2, text))
