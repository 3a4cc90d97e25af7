"""Access tokens: which are believed, and what they say."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from intent.errors import CommandError, InvalidCommand, PermissionDenied, Unauthenticated, Unavailable
from intent.identity import Claims, Identity, IssuerKeys, TokenIdentityProvider
from intent.identity import Issuer as Trusted
from joserfc.jwk import OctKey, RSAKey

from ..support.issuer import AUDIENCE, Issuer, new_key, running_issuer


class Clock:
    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@pytest_asyncio.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with running_issuer() as running:
        yield running


def trusting(issuer: Issuer, **changes: Any) -> Trusted:
    return Trusted(name=issuer.url, audiences=frozenset({AUDIENCE}), **changes)


def provider(issuer: Issuer, claims: Claims | None = None, **changes: Any) -> TokenIdentityProvider:
    return TokenIdentityProvider(
        [IssuerKeys(trusting(issuer, claims=claims or Claims()), at_most_every=0.0)], **changes
    )


async def reason(provider: TokenIdentityProvider, metadata: dict[str, str]) -> str:
    with pytest.raises(CommandError) as caught:
        await provider.authenticate(metadata)
    return caught.value.reason


@pytest.mark.parametrize(
    "alg",
    ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"],
)
async def test_signatures_by_public_keys_are_believed(issuer: Issuer, alg: str) -> None:
    issuer.key = new_key(alg, "mine")
    issuer.published = [new_key("RS256", "other"), issuer.key]
    token = issuer.bearer(alg=alg, tenants=["acme"], roles=["customer"])
    identity = await provider(issuer).authenticate(token)
    assert (identity.tenant, identity.actor, identity.roles) == ("acme", "user:ann", frozenset({"customer"}))


async def test_without_a_key_id_every_key_that_fits_is_tried(issuer: Issuer) -> None:
    issuer.key = new_key("RS256", None)
    issuer.published = [new_key("ES256", None), new_key("RS256", None), issuer.key]
    assert (await provider(issuer).authenticate(issuer.bearer())).actor == "user:ann"


def forged(issuer: Issuer, header: dict[str, Any], secret: bytes | None) -> str:
    def encoded(value: bytes) -> str:
        return base64.urlsafe_b64encode(value).rstrip(b"=").decode()

    claims = {"iss": issuer.url, "aud": AUDIENCE, "sub": "eve", "exp": time.time() + 600}
    text = f"{encoded(json.dumps(header).encode())}.{encoded(json.dumps(claims).encode())}"
    signature = b"" if secret is None else hmac.digest(secret, text.encode(), hashlib.sha256)
    return f"{text}.{encoded(signature)}"


async def test_no_signature_and_shared_secrets_are_refused(issuer: Issuer) -> None:
    tokens = provider(issuer)
    await tokens.authenticate(issuer.bearer())
    public: RSAKey = issuer.key
    for header, secret in (
        ({"alg": "none"}, None),
        ({"alg": "none", "kid": "one"}, None),
        ({"alg": "HS256", "kid": "one"}, public.as_pem(private=False)),
        ({"alg": "HS256", "kid": "one"}, public.as_der(private=False)),
        ({"alg": "RS256", "kid": "one"}, public.as_pem(private=False)),
        ({"alg": "RS256", "kid": "one"}, None),
        ({"alg": "ES256", "kid": "one"}, public.as_pem(private=False)),
    ):
        metadata = {"authorization": f"Bearer {forged(issuer, header, secret)}"}
        assert await reason(tokens, metadata) == "TOKEN_INVALID", header


async def test_a_shared_secret_that_the_issuer_publishes_is_refused(issuer: Issuer) -> None:
    secret = OctKey.generate_key(256, {"kid": "shared"}, auto_kid=False)
    token = issuer.token(key=secret, alg="HS256")
    issuer.body = json.dumps({"keys": [secret.as_dict(), *issuer.jwks()["keys"]]}).encode()
    assert await reason(provider(issuer), {"authorization": f"Bearer {token}"}) == "TOKEN_INVALID"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"exp": 1}, "TOKEN_EXPIRED"),
        ({"exp": None}, "TOKEN_INVALID"),
        ({"exp": "tomorrow"}, "TOKEN_INVALID"),
        ({"exp": True}, "TOKEN_INVALID"),
        ({"nbf": time.time() + 900}, "TOKEN_INVALID"),
        ({"iat": time.time() + 900}, "TOKEN_INVALID"),
        ({"aud": "payments"}, "TOKEN_INVALID"),
        ({"aud": None}, "TOKEN_INVALID"),
        ({"aud": {"orders": 1}}, "TOKEN_INVALID"),
        ({"iss": "https://elsewhere.example"}, "TOKEN_INVALID"),
        ({"iss": None}, "TOKEN_INVALID"),
        ({"sub": None}, "TOKEN_INVALID"),
        ({"sub": ""}, "TOKEN_INVALID"),
        ({"sub": 7}, "TOKEN_INVALID"),
        ({"sub": "a b"}, "TOKEN_INVALID"),
        ({"sub": "a" * 130}, "TOKEN_INVALID"),
        ({"header": {"typ": "logout+jwt"}}, "TOKEN_INVALID"),
        ({"header": {"crit": ["b64"], "b64": True}}, "TOKEN_INVALID"),
        ({"padding": "x" * 9000}, "TOKEN_INVALID"),
    ],
)
async def test_what_a_token_must_say(issuer: Issuer, changes: dict[str, Any], said: str) -> None:
    assert await reason(provider(issuer), issuer.bearer(**changes)) == said


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic YTpi",
        "Bearer a.b.c",
        "Bearer ...",
        "Bearer e30.e30.",
        "Bearer dev:ann:*",
        "Bearer W10.W10.AA",
        "Bearer " + "[" * 3000,
        "Bearer " + base64.urlsafe_b64encode(b"[" * 5000).decode() + ".e30.AA",
        "Bearer ü.ü.ü",
    ],
)
async def test_anything_else_is_no_token(issuer: Issuer, text: str) -> None:
    assert await reason(provider(issuer), {"authorization": text}) == "TOKEN_INVALID"
    assert issuer.asked == 0


async def test_a_call_without_a_token_is_refused(issuer: Issuer) -> None:
    assert await reason(provider(issuer), {"x-tenant-id": "acme"}) == "TOKEN_MISSING"


@pytest.mark.parametrize("key", ["x-actor", "x-roles"])
async def test_what_only_development_believes_is_refused(issuer: Issuer, key: str) -> None:
    with pytest.raises(InvalidCommand) as caught:
        await provider(issuer).authenticate({**issuer.bearer(), key: "operator"})
    assert caught.value.violations[0].field == key


async def test_the_tenant_is_one_of_the_tokens(issuer: Issuer) -> None:
    tokens = provider(issuer)
    two = issuer.bearer(tenants=["acme", "globex"])
    assert (await tokens.authenticate({**two, "x-tenant-id": "globex"})).tenant == "globex"
    assert (await tokens.authenticate(two)).tenant == ""
    with pytest.raises(PermissionDenied) as caught:
        await tokens.authenticate({**two, "x-tenant-id": "umbrella"})
    assert caught.value.reason == "TENANT_DENIED"
    assert not (await tokens.authenticate(two)).every_tenant
    none = {**issuer.bearer(tenants=["*", "A/B"]), "x-tenant-id": "acme"}
    assert await reason(tokens, none) == "TENANT_DENIED"


async def test_any_tenant_needs_the_role_that_says_so(issuer: Issuer) -> None:
    claims = Claims(any_tenant_role="everywhere")
    anywhere = {**issuer.bearer(roles=["everywhere"]), "x-tenant-id": "acme"}
    assert (await provider(issuer, claims).authenticate(anywhere)).tenant == "acme"
    assert await reason(provider(issuer), anywhere) == "TENANT_DENIED"
    bound = {**issuer.bearer(roles=["everywhere"], tenants="globex"), "x-tenant-id": "acme"}
    assert (await provider(issuer, claims).authenticate(bound)).every_tenant
    here = {**issuer.bearer(roles=["customer"]), "x-tenant-id": "acme"}
    assert await reason(provider(issuer, claims), here) == "TENANT_DENIED"


@pytest.mark.parametrize(
    ("tenants", "every"),
    [(None, True), ("acme", False), (["acme", "globex"], False), ([], False), ("", False), (["A/B"], False)],
)
async def test_a_token_that_says_anything_of_tenants_is_bound(
    issuer: Issuer, tenants: object, *, every: bool
) -> None:
    identity = await provider(issuer).authenticate(issuer.bearer(tenants=tenants, roles="consumer-all"))
    assert identity.every_tenant == every


async def test_claims_are_found_where_the_settings_say(issuer: Issuer) -> None:
    claims = Claims(
        actor="act.client",
        actor_prefix="service:",
        tenants="https://example.com/tenants",
        roles="realm_access.roles",
    )
    token = issuer.bearer(
        act={"client": "checkout"},
        realm_access={"roles": ["service", "*", "a;b", 7]},
        **{"https://example.com/tenants": "acme, globex"},
    )
    identity = await provider(issuer, claims).authenticate({**token, "x-tenant-id": "globex"})
    assert (identity.actor, identity.roles) == ("service:checkout", frozenset({"service"}))


async def test_every_role_cannot_come_from_a_token(issuer: Issuer) -> None:
    identity = await provider(issuer).authenticate(issuer.bearer(roles="* operator"))
    assert identity.roles == {"operator"}


async def test_a_known_token_is_believed_until_it_expires(issuer: Issuer) -> None:
    clock = Clock()
    tokens = provider(issuer, clock=clock, leeway=30.0)
    ends = time.time() + 600
    token = issuer.bearer(exp=ends, tenants="acme")
    first = await tokens.authenticate(token)
    assert first == Identity("acme", "user:ann", frozenset(), ends + 30)
    await issuer.stop()
    clock.ahead = 620
    assert await tokens.authenticate(token) == first
    clock.ahead = 640
    assert await reason(tokens, token) == "TOKEN_EXPIRED"


async def test_known_tokens_are_bounded_in_number(issuer: Issuer) -> None:
    tokens = provider(issuer, kept=2)
    for name in ("a", "b", "c"):
        assert (await tokens.authenticate(issuer.bearer(sub=name))).actor == f"user:{name}"
    assert len(tokens._kept) == 2


async def test_issuers_vouch_for_their_own_tokens_only(issuer: Issuer) -> None:
    async with running_issuer("another") as other:
        both = TokenIdentityProvider([IssuerKeys(trusting(issuer)), IssuerKeys(trusting(other))])
        assert (await both.authenticate(other.bearer())).actor == "user:ann"
        stolen = other.bearer(iss=issuer.url)
        assert await reason(both, stolen) == "TOKEN_INVALID"


async def test_an_unavailable_issuer_is_not_the_callers_fault(issuer: Issuer) -> None:
    await issuer.stop()
    tokens = provider(issuer)
    with pytest.raises(Unavailable) as caught:
        await tokens.authenticate(issuer.bearer())
    assert caught.value.reason == "ISSUER_UNAVAILABLE"
    await issuer.start()
    assert (await tokens.authenticate(issuer.bearer())).actor == "user:ann"
    with pytest.raises(Unauthenticated):
        await tokens.authenticate(issuer.bearer(key=new_key("RS256", "made-up")))
