"""The keys of an issuer: rotated, unavailable, slow, too many, from files."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from intent.background import Background
from intent.errors import CommandError, ConfigurationError, Unavailable
from intent.identity import Issuer as Trusted
from intent.identity import IssuerKeys, TokenIdentityProvider
from intent.process.identities import running_identities
from intent.settings.config import Settings, load_settings

from ..support.issuer import AUDIENCE, Issuer, new_key, running_issuer


@pytest_asyncio.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with running_issuer() as running:
        yield running


def keys_of(issuer: Issuer, **changes: Any) -> IssuerKeys:
    return IssuerKeys(Trusted(issuer.url, frozenset({AUDIENCE})), **changes)


async def reason(provider: Any, metadata: dict[str, str]) -> str:
    with pytest.raises(CommandError) as caught:
        await provider.authenticate(metadata)
    return caught.value.reason


async def test_a_new_key_is_known_with_its_first_token(issuer: Issuer) -> None:
    tokens = TokenIdentityProvider([keys_of(issuer, at_most_every=0.0)])
    await tokens.authenticate(issuer.bearer())
    issuer.rotate("two")
    await tokens.authenticate(issuer.bearer())
    assert issuer.asked == 2


async def test_tokens_of_a_withdrawn_key_are_refused_although_they_were_known(issuer: Issuer) -> None:
    keys = keys_of(issuer)
    tokens = TokenIdentityProvider([keys])
    old = issuer.bearer()
    await tokens.authenticate(old)
    issuer.rotate("two")
    await keys.refresh()
    assert await reason(tokens, old) == "TOKEN_INVALID"


async def test_made_up_key_ids_do_not_flood_the_issuer(issuer: Issuer) -> None:
    now = 0.0
    tokens = TokenIdentityProvider([keys_of(issuer, at_most_every=5.0, clock=lambda: now)])
    await tokens.authenticate(issuer.bearer())
    now = 10.0
    for _ in range(20):
        stranger = issuer.bearer(header={"kid": "made-up"})
        assert await reason(tokens, stranger) == "TOKEN_INVALID"
    assert issuer.asked == 2


async def test_made_up_key_ids_do_not_keep_a_new_key_out(issuer: Issuer) -> None:
    now = 0.0
    tokens = TokenIdentityProvider([keys_of(issuer, at_most_every=5.0, clock=lambda: now)])
    assert await reason(tokens, issuer.bearer(header={"kid": "made-up"})) == "TOKEN_INVALID"
    issuer.rotate("two")
    new = issuer.bearer()
    assert await reason(tokens, new) == "ISSUER_UNAVAILABLE"
    now = 6.0
    assert (await tokens.authenticate(new)).actor == "user:ann"


async def test_the_keys_are_looked_up_for_an_unknown_one_right_after_the_start(issuer: Issuer) -> None:
    keys = keys_of(issuer, at_most_every=5.0, clock=lambda: 0.0)
    await keys.refresh()
    tokens = TokenIdentityProvider([keys])
    assert await reason(tokens, issuer.bearer(header={"kid": "made-up"})) == "TOKEN_INVALID"
    await keys.refresh()
    assert await reason(tokens, issuer.bearer(header={"kid": "made-up"})) == "TOKEN_INVALID"


async def test_calls_side_by_side_share_one_fetch(issuer: Issuer) -> None:
    tokens = TokenIdentityProvider([keys_of(issuer)])
    calls = [tokens.authenticate(issuer.bearer(sub=f"u{n}")) for n in range(20)]
    assert len(await asyncio.gather(*calls)) == 20
    assert issuer.asked == 1


@pytest.mark.parametrize("outage", ["stopped", "broken", "garbage", "empty", "huge", "imposter"])
async def test_known_keys_serve_on_while_the_issuer_does_not(issuer: Issuer, outage: str) -> None:
    keys = keys_of(issuer)
    tokens = TokenIdentityProvider([keys])
    await tokens.authenticate(issuer.bearer())
    if outage == "stopped":
        await issuer.stop()
    issuer.broken = outage == "broken"
    issuer.name = "https://elsewhere.example" if outage == "imposter" else issuer.url
    bodies = {"garbage": b"<html>", "empty": b'{"keys": []}', "huge": b" " * 600_000}
    issuer.body = bodies.get(outage)
    await keys.refresh()
    assert keys.problem
    assert (await tokens.authenticate(issuer.bearer(sub="new"))).actor == "user:new"


async def test_a_slow_issuer_holds_up_nobody_whose_key_is_known(issuer: Issuer) -> None:
    keys = keys_of(issuer)
    tokens = TokenIdentityProvider([keys])
    await tokens.authenticate(issuer.bearer())
    issuer.gate.clear()
    refreshing = asyncio.create_task(keys.refresh())
    for name in ("a", "b"):
        assert (await tokens.authenticate(issuer.bearer(sub=name))).actor == f"user:{name}"
    assert not refreshing.done()
    issuer.gate.set()
    await refreshing


async def test_who_waits_for_a_slow_issuer_does_not_wait_for_ever(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("intent.identity.keys._PATIENCE", 0.05)
    issuer.gate.clear()
    keys = keys_of(issuer)
    with pytest.raises(Unavailable) as caught:
        await TokenIdentityProvider([keys]).authenticate(issuer.bearer())
    assert caught.value.retry_after_ms
    await keys.stop()


async def test_weak_foreign_and_malformed_keys_are_left_out(issuer: Issuer) -> None:
    good = issuer.jwks()["keys"]
    strange: list[Any] = [
        7,
        {},
        {"kty": "RSA"},
        {"kty": {}},
        {"kty": ["RSA"], "use": []},
        {"kty": "RSA", "n": "!", "e": "AQAB"},
        {"kty": "oct", "k": "c2VjcmV0", "kid": "one"},
        {**new_key("ES256", "enc").as_dict(private=False), "use": "enc"},
    ]
    issuer.body = json.dumps({"keys": [*strange, *good]}).encode()
    keys = keys_of(issuer)
    await keys.refresh()
    assert [key.kid for key in await keys.matching(None, "RS256")] == ["one"]
    assert not await keys.matching(None, "ES256")


def settings(issuer: Issuer | Trusted, **entry: Any) -> Settings:
    name = issuer.url if isinstance(issuer, Issuer) else issuer.name
    entries = json.dumps([{"issuer": name, "audience": AUDIENCE, **entry}])
    return load_settings(identity_mode="token", identity_issuers=entries, identity_refresh=0.05)


async def test_keys_come_from_a_file_that_may_be_replaced(issuer: Issuer, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_text(json.dumps(issuer.jwks()))
    background = Background()
    async with running_identities(settings(issuer, jwks_file=str(file)), background) as tokens:
        assert (await tokens.authenticate(issuer.bearer())).actor == "user:ann"
        issuer.rotate("two")
        file.write_text(json.dumps(issuer.jwks()))
        async with asyncio.timeout(60):
            while True:
                try:
                    await tokens.authenticate(issuer.bearer(sub="after"))
                    break
                except CommandError:
                    await asyncio.sleep(0.02)
    assert issuer.asked == 0


async def test_a_file_that_cannot_be_read_ends_the_start(issuer: Issuer, tmp_path: Path) -> None:
    identities = running_identities(settings(issuer, jwks_file=str(tmp_path / "none")), Background())
    with pytest.raises(ConfigurationError, match="cannot be read"):
        await identities.__aenter__()


async def test_keys_are_refreshed_in_the_background(issuer: Issuer) -> None:
    async with running_identities(settings(issuer, jwks_url=f"{issuer.url}/keys"), Background()):
        async with asyncio.timeout(60):
            await issuer.asked_for(3)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "set INTENT_IDENTITY_ISSUERS"),
        ({"identity_issuers": "https://id.example"}, "INTENT_IDENTITY_AUDIENCE"),
        ({"identity_issuers": "http://id.example"}, "must begin with https://"),
        ({"identity_issuers": "[{}]"}, "issuer Field required"),
        ({"identity_issuers": '[{"issuer": "https://a", "jwks": "b"}]'}, "jwks Extra inputs"),
        (
            {"identity_issuers": '{"issuer": "b", "jwks_url": "https://b", "jwks_file": "c"}'},
            "exclude",
        ),
        ({"identity_issuers": "https://a,https://a", "identity_audience": "x"}, "twice"),
    ],
)
async def test_settings_that_cannot_work_say_what_to_set(given: dict[str, str], said: str) -> None:
    async def start() -> None:
        async with running_identities(load_settings(identity_mode="token", **given), Background()):
            pass

    with pytest.raises(ConfigurationError, match=said):
        await start()


async def test_the_background_waits_before_it_fetches_the_keys_that_the_start_has(issuer: Issuer) -> None:
    fetched = []

    async def fetch(_: Trusted) -> list[Any]:
        fetched.append(1)
        return [issuer.key.as_dict(private=False)]

    keys = keys_of(issuer, fetch=fetch)
    await keys.refresh()
    running = asyncio.create_task(keys.run())
    for _ in range(5):
        await asyncio.sleep(0)
    assert len(fetched) == 1
    running.cancel()
