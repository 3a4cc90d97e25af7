"""Two contexts with TLS: one consumes the events of the other by its certificate, and shares no secret."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from intent.client import IntentClient, Tls
from intent.dev.platform import ContextService, LocalPlatform

from ..service.support import REGISTRY, place
from ..support.authority import Authority
from .known_orders import known_order

ID = "spiffe://cluster.local/ns/shop/sa/"
WORKLOADS = {
    f"{ID}shipping": ["consumer", "consumer-all"],
    f"{ID}checkout": {"roles": ["service", "warehouse"], "tenants": ["acme"]},
}


class Certified:
    """Two contexts with certificates."""

    def __init__(self, platform: LocalPlatform, folder: Path) -> None:
        self._platform = platform
        self._folder = folder
        self._authority = Authority()
        self._ca = self._authority.write(folder / "ca.pem")

    async def prepare(self, *contexts: str) -> None:
        for context in contexts:
            await self._platform.prepare(context)

    def service(self, context: str) -> ContextService:
        certificate, key = self._authority.issue(self._folder, context, "127.0.0.1", f"{ID}{context}")
        environment = {
            "INTENT_DEV": "false",
            "INTENT_IDENTITY_MODE": "token",
            "INTENT_IDENTITY_WORKLOADS": json.dumps(WORKLOADS),
            "INTENT_TLS_CERT_PATH": str(certificate),
            "INTENT_TLS_KEY_PATH": str(key),
            "INTENT_TLS_CA_PATH": str(self._ca),
            "INTENT_TLS_CLIENTS": "required",
            "INTENT_TLS_CLIENT_CA_PATH": str(self._ca),
        }
        service = self._platform.service(context, environment=environment)
        service.credentials = grpc.ssl_channel_credentials(
            self._ca.read_bytes(), key.read_bytes(), certificate.read_bytes()
        )
        return service

    def client(self, service: ContextService) -> IntentClient:
        tls = Tls(self._ca, *self._authority.issue(self._folder, "checkout", f"{ID}checkout"))
        return IntentClient.connect(service.target, credentials=tls, registry=REGISTRY, timeout=60)


@pytest.fixture
def certified(tmp_path: Path) -> Iterator[Certified]:
    with LocalPlatform(durable=False, keep_workflows=False) as platform:
        yield Certified(platform, tmp_path)


async def test_contexts_know_each_other_by_their_certificates(certified: Certified) -> None:
    await certified.prepare("orders", "shipping")
    with certified.service("orders") as orders, certified.service("shipping") as shipping:
        async with certified.client(orders) as checkout, certified.client(shipping) as warehouse:
            await checkout.execute(place("o-1"))
            assert (await known_order(warehouse, "o-1")).customer_id == "ann"
