"""Secrets that are planted, and found again wherever they turn up."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Canaries"]

_MARK = "canary"
_CONTEXT = 60


@dataclass
class Canaries:
    """Secrets that nothing may show.

    Attributes:
        planted: The secrets by what they are.
    """

    planted: dict[str, str] = field(default_factory=dict)

    def new(self, what: str) -> str:
        """Return a new secret of letters and digits, so that no encoding of URLs changes it."""
        secret = f"{_MARK}{secrets.token_hex(16)}"
        self.planted[what] = secret
        return secret

    def plant(self, what: str, secret: str) -> str:
        """Take something for a secret that was made elsewhere, such as a signature; return it."""
        self.planted[what] = secret
        return secret

    def file(self, path: Path, what: str) -> Path:
        """Write a new secret to a file, and return that."""
        path.write_text(self.new(what) + "\n")
        path.chmod(0o600)
        return path

    def found_in(self, data: bytes) -> list[str]:
        """Return which secrets are in data, as they are or in base64, each with what is around it."""
        found = []
        for what, secret in self.planted.items():
            for needle in _needles(secret.encode()):
                at = data.find(needle)
                if at >= 0:
                    around = data[max(0, at - _CONTEXT) : at + len(needle) + _CONTEXT]
                    found.append(f"{what}: {around.decode(errors='replace')!r}")
        return found


def _needles(secret: bytes) -> set[bytes]:
    """Return a secret, and what of it stands in base64 whatever comes before and after it."""
    needles = {secret, secret.hex().encode()}
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + secret)
        whole = encoded[4 if before else 0 : len(encoded) // 4 * 4 - 4]
        needles |= {whole, whole.replace(b"+", b"-").replace(b"/", b"_")}
    return needles
