"""ServiceAccounts of the double: it signs tokens for pods, and serves the keys to those who have one."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from aiohttp import web
from joserfc import jwt

from ...identity.test_cluster_keys import certificate
from ...support.issuer import new_key

__all__ = ["Accounts"]

ISSUER = "https://kubernetes.default.svc.cluster.local"


class Accounts:
    """Makes the tokens of pods.

    Args:
        folder: Where its certificate is kept.

    Attributes:
        url: Where its keys are, once it has started.
    """

    def __init__(self, folder: Path) -> None:
        self.url = ""
        self._key = new_key("RS256", "cluster")
        self._certificate = folder / "kube-root-ca.crt"
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Serve the keys."""
        app = web.Application()
        app.router.add_get("/openid/v1/jwks", self._keys)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=certificate(self._certificate))
        await site.start()
        self.url = f"https://127.0.0.1:{self._runner.addresses[0][1]}/openid/v1/jwks"

    async def stop(self) -> None:
        """Serve them no longer."""
        if self._runner is not None:
            await self._runner.cleanup()

    def project(self, source: dict[str, Any], pod: dict[str, Any], folder: Path) -> None:
        """Write what a source of a projected volume gives a pod."""
        if "serviceAccountToken" in source:
            wanted = source["serviceAccountToken"]
            text = self._token(pod, wanted.get("audience", ISSUER), wanted["expirationSeconds"])
            (folder / wanted["path"]).write_text(text)
        else:
            assert source["configMap"]["name"] == "kube-root-ca.crt"
            (folder / "ca.crt").write_text(self._certificate.read_text())

    def _token(self, pod: dict[str, Any], audience: str, seconds: int) -> str:
        namespace = pod["metadata"]["namespace"]
        account = pod["spec"].get("serviceAccountName", "default")
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "sub": f"system:serviceaccount:{namespace}:{account}",
            "aud": [audience],
            "iat": now,
            "exp": now + seconds,
        }
        return jwt.encode({"alg": "RS256", "kid": self._key.kid}, claims, self._key)

    async def _keys(self, request: web.Request) -> web.Response:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        try:
            claims = jwt.decode(token, self._key).claims
        except Exception:
            claims = {}
        if scheme != "Bearer" or claims.get("aud") != [ISSUER]:
            return web.Response(status=401)
        return web.json_response({"keys": [self._key.as_dict(private=False)]})
