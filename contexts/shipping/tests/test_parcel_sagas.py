"""How the sagas call the carrier, and what the simulated one reports."""

from __future__ import annotations

from datetime import timedelta

from intent.testing import SagaScript, scripted
from intent_contracts.shipping.v1 import (
    CarrierAnswer,
    CarrierCall,
    DeliverParcel,
    HandOverParcel,
    SimulationPlan,
)
from shipping.ports import CARRIER, SIMULATION
from shipping.sagas import BookParcel, SimulateCarrier

from .parcel_examples import (
    ARRANGED,
    BOOK,
    BOOKED,
    DELIVER,
    HAND_OVER,
    HOME,
    ID,
    NUMBER,
    RETURN,
    WHY,
)


def carrying(reports: int = 1, return_reason: str = "") -> SagaScript:
    plan = SimulationPlan(
        hand_over_after_ms=1000, arrive_after_ms=2000, reports=reports, return_reason=return_reason
    )
    return scripted(SimulateCarrier, BOOKED, correlation=ID).answers(SIMULATION, plan)


def test_a_parcel_is_booked_under_its_key() -> None:
    script = scripted(BookParcel, ARRANGED, correlation=ID)
    outcome = script.answers(CARRIER, CarrierAnswer(tracking_number=NUMBER)).run()
    outcome.then_completed().then_sent(BOOK)
    assert outcome.called == [CarrierCall(idempotency_key=f"acme/{ID}", ship_to=HOME, articles=3)]


def test_the_carrier_fetches_and_delivers_in_its_time() -> None:
    outcome = carrying().run().then_completed().then_sent(HAND_OVER, DELIVER)
    assert outcome.elapsed == timedelta(seconds=3)


def test_the_carrier_may_bring_it_back() -> None:
    carrying(return_reason=WHY).run().then_completed().then_sent(HAND_OVER, RETURN)


def test_the_carrier_may_repeat_itself() -> None:
    carrying(reports=2).run().then_completed().then_sent(HAND_OVER, HAND_OVER, DELIVER, DELIVER)


def test_the_carrier_finds_nothing_to_fetch_where_the_parcel_is_cancelled() -> None:
    carrying().rejects(HandOverParcel, "PARCEL_CANCELLED").run().then_completed().then_sent(HandOverParcel)


def test_nothing_is_reported_where_a_real_carrier_reports() -> None:
    outcome = carrying(reports=0).run().then_completed().then_sent()
    assert outcome.elapsed == timedelta(0)


def test_a_delivery_that_contradicts_what_is_known_is_shown_with_its_reason() -> None:
    carrying().rejects(DeliverParcel, "PARCEL_RETURNED").run().then_compensated("PARCEL_RETURNED")
