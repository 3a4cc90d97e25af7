"""Tokens of a real OpenID Connect server: its configuration, rotated keys, outages, slow answers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from intent.client import ClientCredentials
from intent.errors import CommandError, Unauthenticated, Unavailable
from intent.identity import Claims, Identity, Issuer, IssuerKeys, TokenIdentityProvider

from ..support.oidc_server import AUDIENCE, OidcServer, running_oidc_server


@pytest.fixture
def server() -> Iterator[OidcServer]:
    with running_oidc_server() as running:
        yield running


class Believing:
    """The identity of a context that trusts the server."""

    def __init__(self, server: OidcServer) -> None:
        claims = Claims(tenants="address.region", roles="groups")
        trusted = Issuer(name=server.url, audiences=frozenset({AUDIENCE}), claims=claims)
        self.keys = IssuerKeys(trusted, at_most_every=0.0)
        self._provider = TokenIdentityProvider([self.keys])

    async def caller(self, token: str) -> Identity:
        return await self._provider.authenticate({"authorization": f"Bearer {token}"})

    async def refuses(self, token: str) -> str:
        with pytest.raises(CommandError) as caught:
            await self.caller(token)
        return caught.value.reason


async def test_its_tokens_say_who_calls_for_which_tenant_with_which_roles(server: OidcServer) -> None:
    context = Believing(server)
    ann, olga = await context.caller(server.token("ann")), await context.caller(server.token("olga"))
    assert (ann.actor, ann.tenant, ann.roles) == ("user:ann", "acme", frozenset({"customer"}))
    assert (olga.actor, olga.tenant, olga.roles) == ("user:olga", "globex", frozenset({"operator"}))
    assert server.asked == 1


async def test_a_new_key_is_taken_up_with_its_first_token(server: OidcServer) -> None:
    context = Believing(server)
    before = server.token("ann")
    await context.caller(before)
    server.rotate()
    after = server.token("olga")
    assert (await context.caller(after)).actor == "user:olga"
    assert (await context.caller(before)).actor == "user:ann"


async def test_a_key_that_is_withdrawn_ends_its_tokens(server: OidcServer) -> None:
    context = Believing(server)
    before = server.token("ann")
    await context.caller(before)
    server.rotate(keep=False)
    await context.keys.refresh()
    assert await context.refuses(before) == "TOKEN_INVALID"
    assert (await context.caller(server.token("ann"))).actor == "user:ann"


async def test_known_keys_serve_on_while_it_is_unavailable(server: OidcServer) -> None:
    context = Believing(server)
    known, fresh = server.token("ann"), server.token("olga")
    await context.caller(known)
    server.rotate()
    rotated = server.token("ann")
    server.stop()
    await context.keys.refresh()
    assert context.keys.problem
    assert (await context.caller(known)).actor == "user:ann"
    assert (await context.caller(fresh)).actor == "user:olga"
    assert await context.refuses(rotated) == "ISSUER_UNAVAILABLE"
    server.start()
    assert (await context.caller(rotated)).actor == "user:ann"


async def test_slow_answers_hold_up_those_alone_who_need_them(server: OidcServer) -> None:
    context = Believing(server)
    known, fresh = server.token("ann"), server.token("olga")
    await context.caller(known)
    server.rotate()
    rotated = server.token("ann")
    server.gate.clear()
    waiting = asyncio.create_task(context.caller(rotated))
    await asyncio.sleep(0)
    assert (await context.caller(fresh)).actor == "user:olga"
    with pytest.raises(Unavailable) as caught:
        await waiting
    assert caught.value.reason == "ISSUER_UNAVAILABLE"
    server.gate.set()
    await context.keys.stop()
    assert (await context.caller(rotated)).actor == "user:ann"


async def test_it_gives_a_program_a_token_for_its_credentials(server: OidcServer, tmp_path: Path) -> None:
    """Its tokens for programs are no JWT, so a context does not believe them."""
    secret = tmp_path / "secret"
    secret.write_text("secret\n")
    options: dict[str, Any] = {"issuer": server.url, "scope": "profile"}
    source = ClientCredentials(AUDIENCE, secret, **options)
    value = await source.authorization()
    assert value.startswith("Bearer ")
    assert await Believing(server).refuses(value.removeprefix("Bearer ")) == "TOKEN_INVALID"
    secret.write_text("wrong")
    with pytest.raises(Unauthenticated) as caught:
        await ClientCredentials(AUDIENCE, secret, **options).authorization()
    assert caught.value.reason == "TOKEN_REFUSED"
    server.stop()
    with pytest.raises(Unavailable):
        await ClientCredentials(AUDIENCE, secret, **options).authorization()
