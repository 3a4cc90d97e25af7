"""An issuer of tokens: an OpenID configuration and a JWKS, served over HTTP."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Any
from urllib.parse import unquote_plus

from aiohttp import BasicAuth, web
from intent.identity.algorithms import ALGORITHMS, SIGNATURES
from intent.process.sockets import free_port
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

AUDIENCE = "orders"
_KEYS: dict[str, Any] = {"RS": RSAKey, "PS": RSAKey, "ES": ECKey, "Ed": OKPKey}
_CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521", "EdDSA": "Ed25519", "Ed25519": "Ed25519"}


@lru_cache
def new_key(algorithm: str, key_id: str | None) -> Any:
    """Return a key; the same one each time, as making one takes long."""
    parameters: Any = {"kid": key_id} if key_id else {}
    kind = _KEYS[algorithm[:2]]
    size = 2048 if kind is RSAKey else _CURVES[algorithm]
    return kind.generate_key(size, parameters, auto_kid=False)


class Issuer:
    """Signs tokens, and serves the keys that verify them.

    Attributes:
        key: The key that signs.
        published: The keys that are served.
        asked: How often the keys were asked for.
        gate: Closed, it keeps answers back.
        broken: Whether it answers with an error.
        clients: The secrets of programs by their ids.
        claims: What the tokens have that it gives to programs.
        granted: How many tokens it gave to programs.
    """

    def __init__(self, key_id: str = "one") -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.key = new_key("RS256", key_id)
        self.published = [self.key]
        self.asked = 0
        self._more = asyncio.Condition()
        self.gate = asyncio.Event()
        self.gate.set()
        self.broken = False
        self.body: bytes | None = None
        self.name = self.url
        self.clients: dict[str, str] = {}
        self.claims: dict[str, Any] = {}
        self.granted = 0
        self._runner: web.AppRunner | None = None

    def token(self, *, key: Any = None, alg: str = "RS256", header: Any = (), **claims: Any) -> str:
        """Return a token with good claims, except for those that are given; None leaves one out."""
        key = key or self.key
        now = time.time()
        good = {"iss": self.url, "aud": AUDIENCE, "sub": "ann", "exp": now + 600, "iat": now}
        all_claims = {name: value for name, value in {**good, **claims}.items() if value is not None}
        head = {"alg": alg, **({"kid": key.kid} if key.kid else {}), **dict(header)}
        registry = SIGNATURES if alg in ALGORITHMS else JWSRegistry(algorithms=[alg])
        return jwt.encode(head, all_claims, key, registry=registry)

    def bearer(self, **claims: Any) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token(**claims)}"}

    def rotate(self, key_id: str) -> None:
        """Sign with a new key, and serve that alone."""
        self.key = new_key("RS256", key_id)
        self.published = [self.key]

    def jwks(self) -> Any:
        return KeySet(self.published).as_dict(private=False)

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get("/.well-known/openid-configuration", self._configuration)
        app.router.add_get("/keys", self._answer)
        app.router.add_post("/token", self._grant)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()

    async def stop(self) -> None:
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def asked_for(self, times: int) -> None:
        """Wait until the keys were asked for a number of times."""
        async with self._more:
            await self._more.wait_for(lambda: self.asked >= times)

    async def _configuration(self, _: web.Request) -> web.Response:
        return web.json_response(
            {"issuer": self.name, "jwks_uri": f"{self.url}/keys", "token_endpoint": f"{self.url}/token"}
        )

    async def _grant(self, request: web.Request) -> web.Response:
        """Give a program a token for its id and secret."""
        await self.gate.wait()
        if self.broken:
            return web.Response(status=503)
        form = await request.post()
        sent = BasicAuth.decode(request.headers.get("authorization", ""), "utf-8")
        client, secret = unquote_plus(sent.login), unquote_plus(sent.password)
        if form.get("grant_type") != "client_credentials" or self.clients.get(client) != secret:
            return web.json_response({"error": "invalid_client"}, status=401)
        self.granted += 1
        claims = {"sub": client, "jti": str(self.granted), **self.claims}
        lasts = int(claims.get("exp", time.time() + 600) - time.time())
        return web.json_response(
            {"access_token": self.token(**claims), "token_type": "Bearer", "expires_in": lasts}
        )

    async def _answer(self, _: web.Request) -> web.Response:
        self.asked += 1
        async with self._more:
            self._more.notify_all()
        await self.gate.wait()
        if self.broken:
            return web.Response(status=503)
        if self.body is not None:
            return web.Response(body=self.body)
        return web.json_response(self.jwks())


@asynccontextmanager
async def running_issuer(key_id: str = "one") -> AsyncIterator[Issuer]:
    issuer = Issuer(key_id)
    await issuer.start()
    try:
        yield issuer
    finally:
        issuer.gate.set()
        await issuer.stop()
