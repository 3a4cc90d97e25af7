"""What the read model of payments shows."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from google.protobuf.message import Message
from intent.testing import projected
from intent_contracts.payments.v1 import PaymentStatus, PaymentView
from payments.projections import PaymentViews
from payments.values import CANCEL_REFUND_ID

from .payment_examples import (
    ASKED,
    CANCEL_ASKED,
    CAPTURED,
    CHARGED,
    CHARGING,
    DECLINED,
    GIVEN_BACK,
    HELD,
    ID,
    ORDER,
    PRICE,
    VOID_ASKED,
    VOIDED,
    WHY,
    refund_asked,
    refunded,
)

AT = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)


def _view(*events: Message) -> PaymentView:
    (view,) = projected(PaymentViews, ID, *events, first_at=AT)
    return view


def test_a_charged_payment_is_shown_in_full() -> None:
    expected = PaymentView(
        payment_id=ID,
        order_id=ORDER,
        status=PaymentStatus.PAYMENT_STATUS_CAPTURED,
        amount=PRICE,
        captured=1000,
        customer_id="ann",
    )
    expected.changed_at.FromDatetime(AT.replace(second=3))
    assert _view(*CHARGED) == expected


@pytest.mark.parametrize(
    ("events", "status"),
    [
        ([ASKED], "AUTHORIZING"),
        (HELD, "AUTHORIZED"),
        (CHARGING, "CAPTURING"),
        (CHARGED, "CAPTURED"),
        (GIVEN_BACK, "REFUNDED"),
        ([ASKED, DECLINED], "DECLINED"),
        ([*HELD, VOID_ASKED], "AUTHORIZED"),
        ([*HELD, VOID_ASKED, VOIDED], "VOIDED"),
        ([VOIDED], "VOIDED"),
    ],
)
def test_the_status_follows_from_the_events(events: list[Message], status: str) -> None:
    assert PaymentStatus.Name(_view(*events).status) == f"PAYMENT_STATUS_{status}"


def test_refunds_add_up() -> None:
    parts = [refund_asked(300), refunded(300), refund_asked(200, "r-2"), refunded(200, "r-2")]
    view = _view(*CHARGED, *parts)
    assert (view.captured, view.refunded) == (1000, 500)
    assert view.status == PaymentStatus.PAYMENT_STATUS_CAPTURED


def test_a_decline_is_shown_with_the_reason_of_the_provider() -> None:
    assert _view(ASKED, DECLINED).decline_code == "CARD_EXPIRED"


@pytest.mark.parametrize(
    "events",
    [
        [*HELD, VOID_ASKED],
        [*CHARGING, CANCEL_ASKED, CAPTURED],
        [*CHARGED, refund_asked(1000, CANCEL_REFUND_ID)],
        [VOIDED],
    ],
)
def test_a_cancellation_is_shown_with_its_reason(events: list[Message]) -> None:
    assert _view(*events).cancel_reason == WHY


def test_a_refund_is_no_cancellation() -> None:
    assert _view(*GIVEN_BACK).cancel_reason == ""
