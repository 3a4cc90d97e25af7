"""The simulated carrier books each parcel once, whatever fails on the way."""

from __future__ import annotations

from pathlib import Path

import pytest
from intent.simulation import Link, NoAnswer
from intent_contracts.shipping.v1 import Address, CarrierAnswer, CarrierCall, SimulationCall, SimulationPlan
from shipping.carrier import Booking, Rounds, SimulatedCarrier

from .parcel_examples import HOME

KEY = "acme/s-1"


@pytest.fixture
def carrier(tmp_path: Path) -> SimulatedCarrier:
    return SimulatedCarrier(tmp_path / "carrier.sqlite3", Link(), Rounds(hand_over_ms=10, arrive_ms=20))


def ask(postal_code: str = "10115") -> CarrierCall:
    address = Address()
    address.CopyFrom(HOME)
    address.postal_code = postal_code
    return CarrierCall(idempotency_key=KEY, ship_to=address, articles=3)


async def book(carrier: SimulatedCarrier, call: CarrierCall) -> CarrierAnswer:
    for _ in range(10):
        try:
            return await carrier.book(call)
        except NoAnswer:
            continue
    raise AssertionError(f"no answer to {call}")


@pytest.mark.parametrize("postal_code", ["10115", "timeout", "flaky", "twice", "slow"])
async def test_books_a_parcel_once_however_often_it_is_asked(
    carrier: SimulatedCarrier, postal_code: str
) -> None:
    first, again = await book(carrier, ask(postal_code)), await book(carrier, ask(postal_code))
    assert first == again
    assert carrier.bookings() == [Booking(KEY, first.tracking_number, postal_code, 3)]


async def test_a_lost_answer_was_a_booking_nonetheless(carrier: SimulatedCarrier) -> None:
    with pytest.raises(NoAnswer):
        await carrier.book(ask("timeout"))
    assert len(carrier.bookings()) == 1


@pytest.mark.parametrize(
    ("postal_code", "return_reason", "reports"),
    [("10115", "", 1), ("twice", "", 2), ("return-nobody-home", "nobody home", 1)],
)
async def test_plans_by_the_postal_code(
    carrier: SimulatedCarrier, postal_code: str, return_reason: str, reports: int
) -> None:
    booked = await book(carrier, ask(postal_code))
    plan = await carrier.plan(SimulationCall(tracking_number=booked.tracking_number))
    assert plan == SimulationPlan(
        hand_over_after_ms=10, arrive_after_ms=20, return_reason=return_reason, reports=reports
    )


async def test_reports_nothing_of_what_another_carrier_booked(carrier: SimulatedCarrier) -> None:
    assert await carrier.plan(SimulationCall(tracking_number="elsewhere")) == SimulationPlan()


async def test_reports_nothing_where_a_real_carrier_reports(tmp_path: Path) -> None:
    silent = SimulatedCarrier(tmp_path / "carrier.sqlite3", Link(), Rounds(reports=0))
    booked = await book(silent, ask("twice"))
    assert (await silent.plan(SimulationCall(tracking_number=booked.tracking_number))).reports == 0
