"""What the read models of shipping show."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from google.protobuf.message import Message
from intent.testing import projected
from intent_contracts.shipping.v1 import KnownOrder, ParcelStatus, ParcelView
from shipping.projections import KnownOrders, ParcelViews

from .parcel_examples import (
    ARRANGED,
    BOOKED,
    CANCELLED,
    DELIVERED,
    HANDED_OVER_EARLY,
    HOME,
    ID,
    NOTED,
    NUMBER,
    ON_ITS_WAY,
    ORDER,
    RETURNED,
    WAITING,
    WHY,
    status_noted,
)

AT = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)


def _view(*events: Message) -> ParcelView:
    (view,) = projected(ParcelViews, ID, *events, first_at=AT)
    return view


def _known(*events: Message) -> KnownOrder:
    (order,) = projected(KnownOrders, ORDER, *events)
    return order


def test_a_booked_parcel_is_shown_in_full() -> None:
    expected = ParcelView(
        parcel_id=ID,
        order_id=ORDER,
        status=ParcelStatus.PARCEL_STATUS_BOOKED,
        ship_to=HOME,
        articles=3,
        tracking_number=NUMBER,
        customer_id="ann",
    )
    expected.changed_at.FromDatetime(AT.replace(second=1))
    assert _view(*WAITING) == expected


@pytest.mark.parametrize(
    ("events", "status", "reason"),
    [
        ([ARRANGED], "ARRANGED", ""),
        (WAITING, "BOOKED", ""),
        (ON_ITS_WAY, "HANDED_OVER", ""),
        ([ARRANGED, HANDED_OVER_EARLY, BOOKED], "HANDED_OVER", ""),
        ([*ON_ITS_WAY, DELIVERED], "DELIVERED", ""),
        ([*ON_ITS_WAY, RETURNED], "RETURNED", WHY),
        ([ARRANGED, CANCELLED], "CANCELLED", WHY),
    ],
)
def test_the_status_follows_from_the_events(events: list[Message], status: str, reason: str) -> None:
    view = _view(*events)
    assert (ParcelStatus.Name(view.status), view.reason) == (f"PARCEL_STATUS_{status}", reason)


def test_a_known_order_is_shown_with_its_status() -> None:
    assert _known(NOTED) == KnownOrder(order_id=ORDER, customer_id="ann", line_count=2, status="placed")
    assert _known(NOTED, status_noted("confirmed")).status == "confirmed"


def test_a_status_that_overtakes_its_order_stays() -> None:
    order = _known(status_noted("cancelled"), NOTED)
    assert (order.status, order.customer_id, order.line_count) == ("cancelled", "ann", 2)
