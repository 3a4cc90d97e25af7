"""What the issuer of `intent dev` is told: its address, its clients and its users."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from intent.dev.identity.users import AUDIENCE, CLIENT_ID, USERS
from intent.dev.services.files import write_secret

__all__ = ["PROGRAM", "SECRET_FILE", "USERS_FILE", "write_configuration"]

PROGRAM: Final = "robot"
"""The client that shows how a program gets tokens by its secret."""
SECRET_FILE: Final = f"{PROGRAM}.secret"
USERS_FILE: Final = "users.yaml"
_SETTINGS_FILE: Final = "settings.yaml"
_MINUTES: Final = 15
_SECONDS_BETWEEN_POLLS: Final = 1


def write_configuration(folder: Path, url: str, port: int, password: Callable[[str], str]) -> None:
    """Write the issuer's files, which its owner alone reads.

    Users who are there already stay as they are, so that one may add some.

    Args:
        folder: A folder that is closed to others.
        url: The issuer's URL.
        port: The port on which it listens.
        password: Returns a password for what is named; the same for the same name.
    """
    secret = password(f"client:{PROGRAM}")
    write_secret(folder / SECRET_FILE, secret + "\n")
    # JSON is YAML too.
    write_secret(
        folder / _SETTINGS_FILE, json.dumps(_settings(folder, url, port, secret, password), indent=2)
    )
    if not (folder / USERS_FILE).exists():
        write_secret(folder / USERS_FILE, json.dumps(_users(password), indent=2) + "\n")


def _settings(
    folder: Path, url: str, port: int, secret: str, password: Callable[[str], str]
) -> Mapping[str, Any]:
    scopes = ["openid", "profile", "offline_access"]
    return {
        "config_version": 1,
        "security_profile": "dev",
        "server": {"host": "127.0.0.1", "port": port},
        "oauth": {
            "issuer": url,
            "audience": AUDIENCE,
            "token_expiry_minutes": _MINUTES,
            "refresh_token_rotation": True,
            "scopes_supported": scopes,
            "clients": [
                {"client_id": CLIENT_ID, "token_endpoint_auth_method": "none", "allowed_scopes": scopes},
                {"client_id": PROGRAM, "client_secret": secret, "allowed_scopes": scopes},
            ],
        },
        "device_flow": {"polling_interval": _SECONDS_BETWEEN_POLLS},
        "jwt": {"keys_dir": str(folder / "keys")},
        # Other users of this machine reach the port: they get no token, and change nothing.
        "session": {
            "secret_key": password("issuer:session"),
            "management_secret": password("issuer:management"),
            "require_ui_login": True,
        },
        "cors_allowed_origins": [],
    }


def _users(password: Callable[[str], str]) -> Mapping[str, Any]:
    users = {
        user.name: {
            "password": password(f"user:{user.name}"),
            "description": user.about,
            "roles": list(user.roles),
            "attributes": {"tenants": list(user.tenants)} if user.tenants else {},
        }
        for user in USERS
    }
    return {"config_version": 1, "users": users}
