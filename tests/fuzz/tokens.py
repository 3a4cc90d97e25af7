"""Access tokens that are nearly good: header and claims changed before they are signed, and bytes after."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from random import Random
from typing import Any, Final

from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from ..support.issuer import AUDIENCE, new_key
from .inputs import Input, edit, edited, text, value

__all__ = ["ISSUER", "alter", "bearer", "genuine", "jwks", "token"]

ISSUER: Final = "https://issuer.test"
_KEYS: Final = {"ES256": "es", "EdDSA": "ed", "RS256": "rs", "PS256": "rs"}
_NAMES: Final = ("iss", "aud", "sub", "exp", "nbf", "iat", "tenants", "roles", "jti", "crit", "scope")
_HEADERS: Final = ("alg", "kid", "typ", "crit", "jku", "jwk", "x5u", "x5c", "b64", "cty", "zip")
_ROLES: Final = ("customer", "service", "consumer", "consumer-all", "operator", "any")
_BEGAN: Final = int(time.time())
"""When tokens were issued: one moment, so that equal recipes make equal tokens, which are known then."""


def jwks() -> Any:
    """Return the keys that the issuer publishes."""
    keys = [new_key(alg, kid) for alg, kid in _KEYS.items() if alg != "PS256"]
    return KeySet(keys).as_dict(private=False)


def bearer() -> tuple[str, str]:
    """Return the metadata of a good caller, who may do everything for every tenant."""
    return "authorization", token({})


def alter(recipe: Input, dice: Random) -> None:
    """Change one thing of a recipe, which `token` follows."""
    match dice.randrange(9):
        case 0:
            recipe["alg"] = dice.choice(("RS256", "PS256", "ES256", "EdDSA"))
        case 1:
            recipe["signed"] = dice.choice(("stranger", "public", "none"))
        case 2:
            recipe.setdefault("without", []).append(dice.choice(_NAMES))
        case 3:
            recipe["scheme"] = dice.choice(("bearer  ", "Bearer", "Basic ", "", "Bearer Bearer "))
        case 4:
            recipe["tenant"] = text(dice)
        case 5 | 6:
            part, names = dice.choice((("claims", _NAMES), ("header", _HEADERS)))
            name = dice.choice(names) if dice.random() < 0.8 else text(dice)
            recipe.setdefault(part, {})[name] = _claim(dice)
        case _:
            part = dice.choice(("header_edits", "claims_edits", "edits"))
            recipe.setdefault(part, []).append(edit(dice))


def _claim(dice: Random) -> Any:
    known = (_BEGAN, _BEGAN + 600, _BEGAN - 600, 2**53, 1e300, "any", ["acme"], ISSUER, AUDIENCE, "es")
    return dice.choice(known) if dice.random() < 0.3 else value(dice)


def genuine(recipe: Input) -> bool:
    """Return whether a token is signed by a key of the issuer, whatever it says."""
    signed: str = recipe.get("signed", "own")
    return signed == "own"


def token(recipe: Input) -> str:
    """Return a token, with its scheme."""
    alg = recipe.get("alg", "ES256")
    header = {"alg": alg, "kid": _KEYS[alg], **recipe.get("header", {})}
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "ann",
        "exp": _BEGAN + 86_400,
        "iat": _BEGAN,
        "roles": list(_ROLES),
        **recipe.get("claims", {}),
    }
    for name in recipe.get("without", ()):
        claims.pop(name, None)
    first = _encoded(edited(_json(header), recipe.get("header_edits", ())))
    second = _encoded(edited(_json(claims), recipe.get("claims_edits", ())))
    signed = first + b"." + second
    whole = signed + b"." + _encoded(_signature(signed, alg, recipe.get("signed", "own")))
    scheme: str = recipe.get("scheme", "Bearer ")
    return scheme + edited(whole, recipe.get("edits", ())).decode("latin-1")


def _signature(signed: bytes, alg: str, by: str) -> bytes:
    if by == "none":
        return b""
    own = new_key(alg, _KEYS[alg])
    if by == "public":
        return hmac.digest(own.as_pem(private=False), signed, hashlib.sha256)
    key = own if by == "own" else new_key(alg, "stranger")
    signature: bytes = JWSRegistry.algorithms[alg].sign(signed, key)
    return signature


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _encoded(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
