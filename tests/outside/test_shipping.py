"""Parcels end to end: commands, sagas and the simulated carrier."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from intent.client import IntentClient
from intent.dev.platform import ContextService, LocalPlatform
from intent.errors import Rejected
from intent.simulation import Link
from intent_contracts.shipping.v1 import (
    Address,
    ArrangeParcel,
    CancelParcel,
    GetParcel,
    ParcelStatus,
    ParcelView,
)
from shipping.carrier import Booking, Rounds, SimulatedCarrier

from .support import calling, standing

DELIVERED = ParcelStatus.PARCEL_STATUS_DELIVERED
RETURNED = ParcelStatus.PARCEL_STATUS_RETURNED
CANCELLED = ParcelStatus.PARCEL_STATUS_CANCELLED


@pytest_asyncio.fixture
async def client(shipping: ContextService, tenant: str) -> AsyncIterator[IntentClient]:
    async with calling(shipping, tenant) as connected:
        yield connected


def arrange(postal_code: str = "10115", parcel: str = "s-1") -> ArrangeParcel:
    address = Address(name="Ann", street="Lane 1", postal_code=postal_code, city="Berlin", country="DE")
    return ArrangeParcel(parcel_id=parcel, order_id="o-1", ship_to=address, articles=3)


async def at(client: IntentClient, status: ParcelStatus.ValueType, parcel: str = "s-1") -> ParcelView:
    return await standing(client, GetParcel(parcel_id=parcel), ParcelView, [status])


def bookings(platform: LocalPlatform, tenant: str) -> list[Booking]:
    carrier = SimulatedCarrier(platform.folder / "shipping-carrier.sqlite3", Link(), Rounds())
    return [booking for booking in carrier.bookings() if booking.idempotency_key.startswith(f"{tenant}/")]


async def test_a_parcel_is_booked_once_and_delivered_whatever_the_way_to_the_carrier_does(
    client: IntentClient, platform: LocalPlatform, tenant: str
) -> None:
    async def send(postal_code: str) -> tuple[str, str]:
        await client.execute(arrange(postal_code, postal_code))
        view = await at(client, DELIVERED, postal_code)
        return f"{tenant}/{postal_code}", view.tracking_number

    shown = await asyncio.gather(*map(send, ("10115", "slow", "timeout", "flaky", "twice")))
    booked = [(booking.idempotency_key, booking.tracking_number) for booking in bookings(platform, tenant)]
    assert booked == sorted(shown)


async def test_a_parcel_may_come_back(client: IntentClient) -> None:
    await client.execute(arrange("return-nobody-home"))
    assert (await at(client, RETURNED)).reason == "nobody home"


async def test_a_parcel_that_is_given_up_is_fetched_by_nobody(client: IntentClient) -> None:
    await client.execute(arrange("slow"), applied_only=True)
    await client.execute(CancelParcel(parcel_id="s-1", reason="changed my mind"))
    assert (await at(client, CANCELLED)).reason == "changed my mind"


async def test_a_parcel_that_is_delivered_can_no_longer_be_given_up(client: IntentClient) -> None:
    await client.execute(arrange())
    await at(client, DELIVERED)
    with pytest.raises(Rejected, match="PARCEL_DELIVERED"):
        await client.execute(CancelParcel(parcel_id="s-1", reason="changed my mind"))
