"""The algorithms by which tokens may be signed, and the keys that fit them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

__all__ = ["ALGORITHMS", "SIGNATURES", "fits", "public_key"]

_RSA: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_CURVES: Final = {
    "ES256": ("P-256",),
    "ES384": ("P-384",),
    "ES512": ("P-521",),
    "EdDSA": ("Ed25519", "Ed448"),
    "Ed25519": ("Ed25519",),
}
ALGORITHMS: Final = frozenset({*_RSA, *_CURVES})
"""Only with public keys: no shared secrets, and not ``none``."""

_RSA_BITS: Final = range(2048, 8193)
_KINDS: Final[Mapping[str, type[RSAKey | ECKey | OKPKey]]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}


class _Signatures(JWSRegistry):
    """Leaves unknown headers alone, and knows `ALGORITHMS` only."""

    max_header_length = 8192

    def get_alg(self, name: str) -> Any:
        """Return an algorithm, without the library's warning that the name EdDSA is an old one."""
        if name not in ALGORITHMS:
            return super().get_alg(name)
        return self.algorithms[name]


SIGNATURES: Final = _Signatures(algorithms=sorted(ALGORITHMS), strict_check_header=False)


def public_key(jwk: Any) -> Key | None:
    """Return the key that an entry of a JWKS describes; None when it is not for such signatures."""
    if not isinstance(jwk, dict) or jwk.get("use", "sig") != "sig":
        return None
    try:
        kind = _KINDS.get(jwk.get("kty", ""))
        if kind is None:
            return None
        key = kind.import_key(jwk)
        raw = key.public_key
    except Exception:
        # One malformed entry must not cost the others.
        return None
    if isinstance(raw, RSAPublicKey) and raw.key_size not in _RSA_BITS:
        return None
    return key


def fits(key: Key, algorithm: str) -> bool:
    """Return whether a key verifies signatures of an algorithm."""
    declared = key.alg
    if declared and declared != algorithm and {declared, algorithm} != {"EdDSA", "Ed25519"}:
        return False
    if algorithm in _RSA:
        return isinstance(key, RSAKey)
    return isinstance(key, ECKey | OKPKey) and key.curve_name in _CURVES[algorithm]
