"""A real OpenID Connect server, Canaille: discovery, keys that are rotated, tokens for users."""

from __future__ import annotations

import os
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from unittest import mock

import httpx
from canaille import create_app
from canaille.app import models
from canaille.backends import Backend
from flask import request
from intent.process.sockets import free_port
from joserfc.jwk import RSAKey
from werkzeug.serving import make_server

AUDIENCE = "orders"
PASSWORD = "correct horse battery staple"


class OidcServer:
    """Canaille with its users in memory, in a thread.

    Attributes:
        url: Its URL, which is its issuer as well.
        asked: How often its keys were asked for.
        gate: Closed, it keeps answers back.
    """

    def __init__(self) -> None:
        self._port = free_port()
        self.url = f"http://localhost:{self._port}"
        self.asked = 0
        self.gate = threading.Event()
        self.gate.set()
        self._app = create_app(config=self._configuration())
        self._app.before_request(self._before)
        self._running: tuple[Any, threading.Thread] | None = None
        with self._app.app_context():
            self._register()

    def start(self) -> None:
        server = make_server("localhost", self._port, self._app, threaded=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        self._running = server, thread

    def stop(self) -> None:
        """Be unavailable."""
        running, self._running = self._running, None
        if running is not None:
            server, thread = running
            server.shutdown()
            thread.join()
            server.server_close()

    def rotate(self, *, keep: bool = True) -> None:
        """Sign with a new key; publish the others still, or no longer."""
        oidc = self._app.config["CANAILLE_OIDC"]
        oidc["INACTIVE_JWKS"] = [*oidc["ACTIVE_JWKS"], *(oidc["INACTIVE_JWKS"] or [])] if keep else []
        oidc["ACTIVE_JWKS"] = [_key()]

    def token(self, user: str) -> str:
        """Return an access token of a user, as a client gets it with the password."""
        basic = b64encode(f"{AUDIENCE}:secret".encode()).decode()
        form = {"grant_type": "password", "username": user, "password": PASSWORD}
        answer = httpx.post(
            f"{self.url}/oauth/token",
            data={**form, "scope": "openid profile groups address"},
            headers={"authorization": f"Basic {basic}"},
            timeout=60,
            trust_env=False,
        )
        token: str = answer.raise_for_status().json()["access_token"]
        return token

    def _configuration(self) -> dict[str, Any]:
        return {
            "TESTING": True,
            "ENV_FILE": None,
            "SECRET_KEY": "for tests",
            "WTF_CSRF_ENABLED": False,
            "PREFERRED_URL_SCHEME": "http",
            "SERVER_NAME": f"localhost:{self._port}",
            "CANAILLE": {
                "DATABASE": "memory",
                "JAVASCRIPT": False,
                "LOGGING": {"version": 1, "disable_existing_loggers": False},
            },
            "CANAILLE_OIDC": {"ACTIVE_JWKS": [_key()], "INACTIVE_JWKS": []},
        }

    def _register(self) -> None:
        save = Backend.instance.save
        client = models.Client(
            client_id=AUDIENCE,
            client_secret="secret",
            client_name=AUDIENCE,
            client_id_issued_at=datetime.now(UTC),
            redirect_uris=[f"{self.url}/unused"],
            grant_types=["password", "client_credentials"],
            token_endpoint_auth_method="client_secret_basic",
            scope=["openid", "profile", "groups", "address"],
        )
        save(client)
        client.audience = [client]
        save(client)
        for name, tenant, role in (("ann", "acme", "customer"), ("olga", "globex", "operator")):
            user = models.User(
                user_name=name,
                family_name=name,
                formatted_name=name,
                emails=[f"{name}@example.com"],
                region=tenant,
                password=PASSWORD,
            )
            save(user)
            save(models.Group(display_name=role, members=[user]))

    def _before(self) -> None:
        if request.path.endswith("jwks.json"):
            self.asked += 1
        self.gate.wait(60)


@contextmanager
def running_oidc_server() -> Iterator[OidcServer]:
    with mock.patch.dict(os.environ, AUTHLIB_INSECURE_TRANSPORT="1"):
        server = OidcServer()
        server.start()
        try:
            yield server
        finally:
            server.gate.set()
            server.stop()


def _key() -> dict[str, Any]:
    key = RSAKey.generate_key(2048)
    key.ensure_kid()
    return dict(key.as_dict(private=True))
