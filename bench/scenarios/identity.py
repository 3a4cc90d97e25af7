"""What it costs to know who calls."""

from __future__ import annotations

import time
from typing import Any

from intent.identity import Issuer, IssuerKeys, TokenIdentityProvider
from joserfc import jwt
from joserfc.jwk import RSAKey

from bench.platform import Platform
from bench.report import Figure

ISSUER = "https://issuer.example"
CALLS = 1_000
ROUNDS = 50


async def authenticate_known(_: Platform) -> Figure:
    """Measure the identification of a caller whose token was verified before; the best round counts."""
    key = RSAKey.generate_key(2048, {"kid": "bench"})

    async def fetch(_: Issuer) -> list[Any]:
        return [key.as_dict(private=False)]

    provider = TokenIdentityProvider([IssuerKeys(Issuer(ISSUER, frozenset({"orders"})), fetch=fetch)])
    claims = {
        "iss": ISSUER,
        "aud": "orders",
        "sub": "ann",
        "exp": time.time() + 3600,
        "tenants": ["acme", "globex"],
        "roles": ["customer"],
        # As long as tokens of common issuers are.
        "padding": "x" * 600,
    }
    token = jwt.encode({"alg": "RS256", "kid": "bench"}, claims, key)
    metadata = {"authorization": f"Bearer {token}", "x-tenant-id": "acme"}
    start = time.perf_counter()
    await provider.authenticate(metadata)
    first = time.perf_counter() - start
    rounds = []
    for _round in range(ROUNDS):
        start = time.perf_counter()
        for _call in range(CALLS):
            await provider.authenticate(metadata)
        rounds.append((time.perf_counter() - start) / CALLS)
    note = f"{len(token):,} bytes; {first * 1e6:.0f} us with keys and signature, once per token"
    return Figure(min(rounds) * 1e6, "us", None, 20, at_most=True, note=note)


SCENARIOS = {"authenticate_known": authenticate_known}
