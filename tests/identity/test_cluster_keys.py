"""Keys of a cluster: its API server has an authority of its own, and wants a token."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from intent.identity import Issuer
from intent.identity.fetching import fetched_keys
from intent.oidc import IssuerUnavailable
from intent.process.sockets import free_port

from ..support.issuer import new_key

WANTED = "Bearer of-the-pod"


@dataclass
class ApiServer:
    """Serves its configuration and its keys, as Kubernetes does, to those who have a token."""

    url: str
    ca_file: Path

    async def answer(self, request: web.Request) -> web.Response:
        if request.headers.get("authorization") != WANTED:
            return web.Response(status=401)
        if request.path == "/openid/v1/jwks":
            return web.json_response({"keys": [new_key("RS256", "one").as_dict(private=False)]})
        return web.json_response({"issuer": self.url, "jwks_uri": f"{self.url}/openid/v1/jwks"})


@asynccontextmanager
async def api_server(folder: Path) -> AsyncIterator[ApiServer]:
    port = free_port()
    served = ApiServer(f"https://127.0.0.1:{port}", folder / "ca.crt")
    app = web.Application()
    app.router.add_get("/{path:.*}", served.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=certificate(served.ca_file)).start()
    try:
        yield served
    finally:
        await runner.cleanup()


def certificate(file: Path) -> ssl.SSLContext:
    """Write a certificate that is its own authority, and return what serves it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kube-apiserver")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = file.with_name("tls.key")
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(file, private)
    return context


def cluster(served: ApiServer, folder: Path, **changes: str) -> Issuer:
    (folder / "token").write_text("of-the-pod\n")
    files: dict[str, Any] = {"ca_file": str(served.ca_file), "token_file": str(folder / "token"), **changes}
    return Issuer(served.url, frozenset({"intent"}), **files)


async def test_keys_are_fetched_with_the_clusters_authority_and_a_token(tmp_path: Path) -> None:
    async with api_server(tmp_path) as served:
        for changes in ({}, {"jwks_url": f"{served.url}/openid/v1/jwks"}):
            (key,) = await fetched_keys(cluster(served, tmp_path, **changes))
            assert key["kid"] == "one"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"ca_file": ""}, "certificate verify failed"),
        ({"ca_file": "/no/such.crt"}, "/no/such.crt cannot be used as authorities"),
        ({"token_file": ""}, "answers with status 401"),
        ({"token_file": "/no/such/token"}, "/no/such/token cannot be read"),
    ],
)
async def test_without_them_it_says_what_is_missing(
    tmp_path: Path, changes: dict[str, str], said: str
) -> None:
    async with api_server(tmp_path) as served:
        with pytest.raises(IssuerUnavailable, match=said):
            await fetched_keys(cluster(served, tmp_path, **changes))
