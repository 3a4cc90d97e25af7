"""The issuer of `intent dev`: what it says of its users, and what it refuses to others of this machine."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from intent.client.tokens.reading import expiry_of
from intent.dev import DevLayout
from intent.dev.identity import USERS, DevIssuer, DevWorkloads
from intent.dev.stack import DevStack
from intent.errors import CommandError, ConfigurationError
from intent.identity import Identity, IssuerKeys, TokenIdentityProvider
from intent.process.identities import issuers_of
from intent.settings.config import load_settings

from ..support.local_issuer import LocalIssuer, running_local_issuer


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalIssuer]:
    with running_local_issuer(tmp_path_factory.mktemp("issuer")) as running:
        yield running


def token_of(issuer: LocalIssuer, user: str, **further: str) -> httpx.Response:
    users = json.loads((issuer.folder / "users.yaml").read_text())["users"]
    form = {"grant_type": "password", "username": user, "password": users[user]["password"], **further}
    return issuer.post("/token", form, auth=("robot", issuer.secret_file.read_text().strip()))


async def believed(issuers: list[dict[str, Any]], token: str, tenant: str = "") -> Identity:
    """Return who calls with a token, as a context of `intent dev` reads it."""
    settings = load_settings(identity_mode="token", identity_issuers=json.dumps(issuers))
    provider = TokenIdentityProvider([IssuerKeys(each) for each in issuers_of(settings)])
    named = {"x-tenant-id": tenant} if tenant else {}
    return await provider.authenticate({"authorization": f"Bearer {token}", **named})


async def test_its_users_are_who_they_are_said_to_be(issuer: LocalIssuer) -> None:
    for user in USERS:
        token = token_of(issuer, user.name).json()["access_token"]
        caller = await believed([issuer.settings()], token)
        assert (caller.actor, caller.roles) == (f"user:{user.name}", frozenset(user.roles))
        assert caller.tenant == "".join(user.tenants)
        assert caller.every_tenant == (not user.tenants)
    ops = token_of(issuer, "ops").json()["access_token"]
    assert (await believed([issuer.settings()], ops, "globex")).tenant == "globex"
    with pytest.raises(CommandError, match="may not act for tenant globex"):
        await believed([issuer.settings()], token_of(issuer, "ann").json()["access_token"], "globex")


@pytest.mark.parametrize("claim", ["roles", "attributes", "sub", "iss", "aud"])
def test_whoever_asks_for_a_token_cannot_add_what_contexts_read(issuer: LocalIssuer, claim: str) -> None:
    refused = token_of(issuer, "ann", extra=json.dumps({claim: ["operator"]}))
    assert refused.status_code == 400
    assert "access_token" not in refused.text


def test_other_users_of_the_machine_get_no_token_and_change_nothing(issuer: LocalIssuer) -> None:
    before = (issuer.folder / "users.yaml").read_text()
    for path in ("/api/users/ops/token", "/api/keys/rotate", "/api/runtime/users", "/api/runtime/clients"):
        answer = httpx.post(f"{issuer.url}{path}", json={}, timeout=60, trust_env=False)
        assert answer.status_code in (401, 403), path
    for path in ("/users", "/clients", "/settings", "/users/ops"):
        answer = httpx.get(f"{issuer.url}{path}", timeout=60, trust_env=False)
        assert answer.status_code in (302, 401, 403), path
    for path in ("/api/users", "/api/users/ops", "/api/config", "/api/audit"):
        assert "pw-of" not in httpx.get(f"{issuer.url}{path}", timeout=60, trust_env=False).text
    assert (issuer.folder / "users.yaml").read_text() == before


def test_its_files_are_closed_and_users_that_were_added_stay(issuer: LocalIssuer) -> None:
    secrets = [*issuer.folder.glob("*.yaml"), issuer.secret_file, issuer.folder / "keys" / "rsa_private.pem"]
    assert [path.name for path in secrets if path.stat().st_mode & 0o077] == []
    assert issuer.folder.stat().st_mode & 0o077 == 0
    file = issuer.folder / "users.yaml"
    users = json.loads(file.read_text())
    users["users"]["eve"] = {**users["users"]["bob"], "password": "another"}
    file.write_text(json.dumps(users))
    kept = token_of(issuer, "ann").json()["refresh_token"]
    issuer.stop()
    issuer.start()
    assert token_of(issuer, "eve").status_code == 200
    form = {"grant_type": "refresh_token", "refresh_token": kept}
    robot = ("robot", issuer.secret_file.read_text().strip())
    assert issuer.post("/token", form, auth=robot).status_code == 200


def test_a_package_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match="package nanoidp, which"):
        DevIssuer(tmp_path / "issuer", 1, tmp_path / "log", str).start()
    assert not (tmp_path / "issuer").exists()


async def test_contexts_call_each_other_with_tokens_of_this_run(tmp_path: Path) -> None:
    workloads = DevWorkloads(tmp_path / "workloads")
    workloads.write(["orders", "shipping"])
    token = workloads.token_file("shipping").read_text()
    caller = await believed([workloads.settings()], token)
    assert (caller.actor, caller.every_tenant) == ("service:shipping", True)
    assert caller.roles == {"consumer", "consumer-all"}
    assert expiry_of(token)
    assert [path.name for path in (tmp_path / "workloads").iterdir() if path.stat().st_mode & 0o077] == []
    workloads.write(["orders", "shipping"])
    with pytest.raises(CommandError):
        await believed([workloads.settings()], token)


def test_an_installation_has_an_issuer_only_if_it_is_asked_for(tmp_path: Path) -> None:
    without = DevStack(DevLayout.of(tmp_path / "a", ["orders"], 0))
    assert (without.issuer, without.state.issuer) == (None, "")
    layout = DevLayout.of(tmp_path / "b", ["orders"], 8400, issuer=True)
    assert DevStack(layout).state.issuer == "http://127.0.0.1:8481"


def test_no_image_has_the_package() -> None:
    pins = Path(__file__).parents[2] / "requirements"
    assert [path.name for path in pins.glob("*.txt") if "nanoidp" in path.read_text()] == ["dev.txt"]
