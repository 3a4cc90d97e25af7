"""Clients that are identified by their certificates, at a server with TLS."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
from intent.client import IntentClient, Tls
from intent.errors import CommandError, ConfigurationError
from intent.identity import CertificateIdentityProvider, IssuerKeys, TokenIdentityProvider
from intent.identity import Issuer as Trusted
from intent.identity.service_accounts import ServiceAccount
from intent.process.identities.issuers import issuers_of, workloads_of
from intent.service import ServiceSettings
from intent.settings.config import load_settings
from intent.tls import ServerTls, TlsFiles

from ..service.support import Served, place
from ..service.wire import reflected
from ..support.authority import Authority
from ..support.issuer import AUDIENCE, Issuer, running_issuer

OURS = Authority("ours")
ID = "spiffe://cluster.local/ns/shop/sa/"
KNOWN = {
    f"{ID}checkout": ServiceAccount("service:checkout", frozenset({"service"}), frozenset({"acme"})),
    f"{ID}reports": ServiceAccount("service:reports", frozenset({"service", "anywhere"})),
    f"{ID}viewer": ServiceAccount("service:viewer", frozenset({"nothing"}), frozenset({"acme"})),
}


@pytest_asyncio.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with running_issuer() as running:
        yield running


@pytest_asyncio.fixture
async def orders(issuer: Issuer, tmp_path: Path) -> AsyncIterator[Served]:
    files = TlsFiles(*OURS.issue(tmp_path, "server"), OURS.write(tmp_path / "ca.pem"))
    settings = ServiceSettings(tls=ServerTls(files, "required"), shutdown_grace=5.0)
    keys = IssuerKeys(Trusted(issuer.url, frozenset({AUDIENCE})))
    await keys.refresh(5.0)
    provider = CertificateIdentityProvider(KNOWN, TokenIdentityProvider([keys]), "anywhere")
    served = Served(settings=settings, identities=provider)
    await served.start()
    yield served
    await served.close()
    await keys.stop()


def client(orders: Served, folder: Path, name: str, *names: str, **options: Any) -> IntentClient:
    """Return a client with a certificate for a workload, or for other names."""
    tls = Tls(folder / "ca.pem", *OURS.issue(folder, name, *(names or (f"{ID}{name}",))))
    return orders.client(credentials=tls, **options)


async def refusal(calling: IntentClient) -> str:
    with pytest.raises(CommandError) as refused:
        await calling.execute(place("o-1"), timeout=60)
    return refused.value.reason


async def test_a_workload_is_who_its_certificate_says(orders: Served, tmp_path: Path) -> None:
    checkout = client(orders, tmp_path, "checkout", tenant="")
    await checkout.execute(place("o-1"))
    (event,) = (await checkout.read_stream("Order", "o-1")).events
    assert (event.actor, event.tenant_id) == ("service:checkout", "acme")


async def test_it_acts_for_its_tenants_alone(orders: Served, tmp_path: Path) -> None:
    assert await refusal(client(orders, tmp_path, "checkout", tenant="globex")) == "TENANT_DENIED"
    reports = client(orders, tmp_path, "reports", tenant="globex")
    assert (await reports.execute(place("o-1"))).version == 1


async def test_it_needs_the_roles_of_the_contract(orders: Served, tmp_path: Path) -> None:
    assert await refusal(client(orders, tmp_path, "viewer")) == "ROLE_MISSING"


@pytest.mark.parametrize(
    "names", [(f"{ID}stranger",), ("spiffe://elsewhere/ns/shop/sa/checkout",), (f"{ID}checkout/more",)]
)
async def test_a_workload_that_is_not_named_is_refused(
    orders: Served, tmp_path: Path, names: tuple[str, ...]
) -> None:
    assert await refusal(client(orders, tmp_path, "stranger", *names)) == "CERTIFICATE_UNKNOWN"


@pytest.mark.parametrize("names", [("checkout.shop.svc",), (f"{ID}checkout", f"{ID}reports")])
async def test_a_certificate_without_one_spiffe_id_identifies_nobody(
    orders: Served, tmp_path: Path, names: tuple[str, ...]
) -> None:
    assert await refusal(client(orders, tmp_path, "checkout", *names)) == "TOKEN_MISSING"


async def test_a_token_says_more_than_the_certificate(orders: Served, tmp_path: Path, issuer: Issuer) -> None:
    token = issuer.token(tenants=["globex"], roles=["service"])
    ann = client(orders, tmp_path, "checkout", token=token, tenant="globex")
    await ann.execute(place("o-1"))
    (event,) = (await ann.read_stream("Order", "o-1")).events
    assert (event.actor, event.tenant_id) == ("user:ann", "globex")


async def test_reflection_is_for_workloads_as_well(orders: Served, tmp_path: Path) -> None:
    for name, code in (("checkout", grpc.StatusCode.OK), ("stranger", grpc.StatusCode.UNAUTHENTICATED)):
        certificate, key = OURS.issue(tmp_path, name, f"{ID}{name}")
        ca = (tmp_path / "ca.pem").read_bytes()
        shown = grpc.ssl_channel_credentials(ca, key.read_bytes(), certificate.read_bytes())
        async with grpc.aio.secure_channel(orders.server.target, shown) as channel:
            assert await reflected(channel) is code


async def test_nothing_else_may_say_who_calls(orders: Served, tmp_path: Path) -> None:
    olga = client(orders, tmp_path, "checkout", actor="user:olga", roles=["operator"])
    assert await refusal(olga) == "METADATA_MALFORMED"


def test_workloads_are_settings() -> None:
    settings = load_settings(
        identity_workloads=f'{{"{ID}shipping": ["consumer"], "{ID}r": {{"actor": "service:reports"}}}}',
        tls_clients="required",
    )
    found = workloads_of(settings)
    assert found[f"{ID}shipping"] == ServiceAccount("service:shipping", frozenset({"consumer"}))
    assert found[f"{ID}r"].actor == "service:reports"
    assert issuers_of(settings) == [], "workloads alone may call"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("[", "INTENT_IDENTITY_WORKLOADS.* is no JSON"),
        ('{"shipping": []}', "must be a SPIFFE id, like spiffe://"),
        (f'{{"{ID}a": {{"role": []}}}}', f"{ID}a: role Extra inputs"),
        (f'{{"{ID}a": ["*"]}}', "is no role that can be given"),
        (f'{{"{ID}a": [], "spiffe://other/a": []}}', "give each an actor of its own"),
    ],
)
def test_workloads_that_cannot_be_used_are_refused(given: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        workloads_of(load_settings(identity_workloads=given, tls_clients="required"))


def test_development_believes_metadata_and_knows_no_workload() -> None:
    given = f'{{"{ID}a": ["consumer"]}}'
    assert workloads_of(load_settings(identity_mode="dev", identity_workloads=given)) == {}


def test_workloads_need_certificates() -> None:
    with pytest.raises(ConfigurationError, match="set INTENT_TLS_CLIENTS to required or optional"):
        workloads_of(load_settings(identity_workloads=f'{{"{ID}a": []}}'))
