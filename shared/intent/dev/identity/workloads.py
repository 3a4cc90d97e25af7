"""Tokens by which the contexts of `intent dev` call each other, in files as the kubelet writes them."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, Final

from intent.dev.identity.users import AUDIENCE
from intent.dev.services.files import private_folder, write_secret

__all__ = ["DevWorkloads"]

_ISSUER: Final = "urn:intent:dev"
_ROLES: Final = ["consumer", "consumer-all"]
_ALGORITHM: Final = "Ed25519"
_SECONDS: Final = 365 * 86_400
"""How long they count at most: they end with the run, since each has a key of its own."""


class DevWorkloads:
    """A key of one run, and a token of each context that is signed by it.

    Args:
        folder: The folder for the key's public part and the tokens.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, contexts: list[str]) -> None:
        """Write the files: a new key, and a token for each context.

        Raises:
            ConfigurationError: The folder is not this user's own.
        """
        from joserfc import jws, jwt
        from joserfc.jwk import KeySet, OKPKey

        private_folder(self._folder)
        key = OKPKey.generate_key("Ed25519", auto_kid=True)
        write_secret(self._jwks, json.dumps(KeySet([key]).as_dict(private=False)))
        signing = jws.JWSRegistry(algorithms=[_ALGORITHM])
        for context in contexts:
            now = int(time.time())
            claims = {
                "iss": _ISSUER,
                "aud": AUDIENCE,
                "iat": now,
                "exp": now + _SECONDS,
                "sub": f"service:{context}",
                "roles": _ROLES,
            }
            header = {"alg": _ALGORITHM, "kid": key.kid}
            write_secret(self.token_file(context), jwt.encode(header, claims, key, registry=signing))

    def token_file(self, context: str) -> Path:
        """Return the file with a context's token."""
        return self._folder / f"{context}.token"

    def settings(self) -> dict[str, Any]:
        """Return what ``INTENT_IDENTITY_ISSUERS`` says of them."""
        return {"issuer": _ISSUER, "audience": AUDIENCE, "jwks_file": str(self._jwks), "actor_prefix": ""}

    @property
    def _jwks(self) -> Path:
        return self._folder / "jwks.json"
