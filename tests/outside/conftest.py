"""The contexts payments and shipping as processes of their own, with simulated partners."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
import pytest_asyncio
from intent.dev.platform import ContextService, LocalPlatform

SWIFT = {
    "PAYMENTS_PROVIDER_LATENCY_MS": "0",
    "PAYMENTS_PROVIDER_SLOW_MS": "600",
    "SHIPPING_CARRIER_LATENCY_MS": "0",
    "SHIPPING_CARRIER_SLOW_MS": "600",
    "SHIPPING_CARRIER_HAND_OVER_MS": "0",
    "SHIPPING_CARRIER_ARRIVE_MS": "0",
}


@pytest_asyncio.fixture(scope="package")
async def platform() -> AsyncIterator[LocalPlatform]:
    with LocalPlatform(durable=False) as running:
        for context in ("payments", "shipping"):
            await running.prepare(context)
        yield running


@pytest_asyncio.fixture(scope="package")
async def payments(platform: LocalPlatform) -> AsyncIterator[ContextService]:
    with platform.service("payments", environment=SWIFT) as running:
        yield running


@pytest_asyncio.fixture(scope="package")
async def shipping(platform: LocalPlatform) -> AsyncIterator[ContextService]:
    with platform.service("shipping", environment=SWIFT) as running:
        yield running


@pytest.fixture
def tenant() -> str:
    """A tenant that no other test uses."""
    return f"t-{uuid4().hex[:12]}"
