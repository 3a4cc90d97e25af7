"""The rules of a parcel, as a specification."""

from __future__ import annotations

import pytest
from google.protobuf.message import Message
from hypothesis import given as given_any
from hypothesis import settings
from hypothesis import strategies as st
from intent.testing import given
from intent_contracts.shipping.v1 import (
    ParcelCancelled,
    ParcelDelivered,
    ParcelReturned,
    ParcelState,
    ParcelStatus,
)
from shipping.aggregates import Parcel

from .parcel_examples import (
    ARRANGE,
    ARRANGED,
    BOOK,
    BOOKED,
    CANCEL,
    CANCELLED,
    DELIVER,
    DELIVERED,
    HAND_OVER,
    HANDED_OVER,
    HANDED_OVER_EARLY,
    ID,
    NUMBER,
    ON_ITS_WAY,
    ORDER,
    RETURN,
    RETURNED,
    WAITING,
    WHY,
)


@pytest.mark.parametrize("command", [BOOK, HAND_OVER, DELIVER, RETURN], ids=lambda c: type(c).__name__)
def test_a_parcel_that_was_never_arranged_is_not_found(command: Message) -> None:
    given(Parcel, ID).when(command).then_rejected("PARCEL_NOT_FOUND")


class TestArrange:
    def test_has_a_carrier_asked(self) -> None:
        given(Parcel, ID).when(ARRANGE).then(ARRANGED).then_state(
            ParcelState(status=ParcelStatus.PARCEL_STATUS_ARRANGED, order_id=ORDER)
        )

    def test_happens_once(self) -> None:
        given(Parcel, ID, ARRANGED).when(ARRANGE).then_rejected("PARCEL_ALREADY_ARRANGED")

    def test_comes_too_late_after_a_cancellation(self) -> None:
        given(Parcel, ID).when(CANCEL).then(ParcelCancelled(reason=WHY)).when(ARRANGE).then_rejected(
            "PARCEL_CANCELLED"
        )

    def test_needs_a_receiver_and_something_in_it(self) -> None:
        given(Parcel, ID).when(type(ARRANGE)(parcel_id=ID, order_id=ORDER)).then_invalid(
            "ship_to", "articles"
        )


class TestBooking:
    def test_gives_it_a_number(self) -> None:
        given(Parcel, ID, ARRANGED).when(BOOK).then(BOOKED).then_state(
            status=ParcelStatus.PARCEL_STATUS_BOOKED, tracking_number=NUMBER
        )

    def test_told_again_changes_nothing(self) -> None:
        given(Parcel, ID, *ON_ITS_WAY).when(BOOK).then_nothing()

    def test_under_another_number_is_refused(self) -> None:
        other = type(BOOK)(parcel_id=ID, tracking_number="track-2")
        given(Parcel, ID, *WAITING).when(other).then_rejected("TRACKING_NUMBER_DIFFERS", known=NUMBER)

    def test_told_after_the_hand_over_changes_the_number_only(self) -> None:
        given(Parcel, ID, ARRANGED, HANDED_OVER_EARLY).when(BOOK).then(BOOKED).then_state(
            status=ParcelStatus.PARCEL_STATUS_HANDED_OVER
        )

    def test_of_a_cancelled_parcel_is_not_recorded(self) -> None:
        given(Parcel, ID, ARRANGED, CANCELLED).when(BOOK).then_nothing()


class TestHandOver:
    def test_gives_it_to_the_carrier(self) -> None:
        given(Parcel, ID, *WAITING).when(HAND_OVER).then(HANDED_OVER)

    def test_may_overtake_the_booking(self) -> None:
        given(Parcel, ID, ARRANGED).when(HAND_OVER).then(HANDED_OVER_EARLY)

    @pytest.mark.parametrize("end", [[], [DELIVERED], [RETURNED]])
    def test_told_again_or_late_changes_nothing(self, end: list[Message]) -> None:
        given(Parcel, ID, *ON_ITS_WAY, *end).when(HAND_OVER).then_nothing()


class TestDelivery:
    def test_ends_it(self) -> None:
        given(Parcel, ID, *ON_ITS_WAY).when(DELIVER).then(DELIVERED).when(DELIVER).then_nothing()

    def test_may_overtake_the_hand_over(self) -> None:
        given(Parcel, ID, *WAITING).when(DELIVER).then(HANDED_OVER, DELIVERED).when(HAND_OVER).then_nothing()

    def test_of_what_came_back_is_refused(self) -> None:
        given(Parcel, ID, *ON_ITS_WAY, RETURNED).when(DELIVER).then_rejected("PARCEL_RETURNED")


class TestReturn:
    def test_ends_it(self) -> None:
        given(Parcel, ID, *ON_ITS_WAY).when(RETURN).then(RETURNED).when(RETURN).then_nothing()

    def test_may_overtake_the_hand_over(self) -> None:
        given(Parcel, ID, *WAITING).when(RETURN).then(HANDED_OVER, RETURNED).when(HAND_OVER).then_nothing()

    def test_of_what_was_delivered_is_refused(self) -> None:
        given(Parcel, ID, *ON_ITS_WAY, DELIVERED).when(RETURN).then_rejected("PARCEL_DELIVERED")


class TestCancel:
    @pytest.mark.parametrize("before", [[ARRANGED], WAITING])
    def test_gives_it_up(self, before: list[Message]) -> None:
        given(Parcel, ID, *before).when(CANCEL).then(CANCELLED).when(CANCEL).then_nothing()

    @pytest.mark.parametrize(
        ("end", "reason"),
        [([], "PARCEL_HANDED_OVER"), ([DELIVERED], "PARCEL_DELIVERED"), ([RETURNED], "PARCEL_RETURNED")],
    )
    def test_comes_too_late_when_the_carrier_has_it(self, end: list[Message], reason: str) -> None:
        given(Parcel, ID, *ON_ITS_WAY, *end).when(CANCEL).then_rejected(reason)

    @pytest.mark.parametrize("report", [HAND_OVER, DELIVER, RETURN], ids=lambda c: type(c).__name__)
    def test_forbids_the_carrier_to_take_it(self, report: Message) -> None:
        given(Parcel, ID, *WAITING, CANCELLED).when(report).then_rejected("PARCEL_CANCELLED")


@given_any(st.lists(st.sampled_from([ARRANGE, BOOK, HAND_OVER, DELIVER, RETURN, CANCEL]), max_size=20))
@settings(max_examples=300, deadline=None)
def test_whatever_is_reported_it_ends_once(commands: list[Message]) -> None:
    once, twice = given(Parcel, ID).when(ARRANGE), given(Parcel, ID).when(ARRANGE)
    recorded, repeated = [*once.events], [*twice.events]
    for command in commands:
        once = once.when(command)
        recorded += once.events
        for _ in range(2):
            twice = twice.when(command)
            repeated += twice.events
    assert recorded == repeated
    ends = [
        event for event in recorded if isinstance(event, ParcelDelivered | ParcelReturned | ParcelCancelled)
    ]
    assert len(ends) <= 1
    assert recorded.count(HANDED_OVER) + recorded.count(HANDED_OVER_EARLY) <= 1
