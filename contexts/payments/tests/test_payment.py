"""The rules of a payment, as a specification."""

from __future__ import annotations

from typing import TypeVar

import pytest
from google.protobuf.message import Message
from intent.testing import given
from intent_contracts.payments.v1 import Money, PaymentState, PaymentStatus, PaymentVoided, VoidRequested
from payments.aggregates import LATE_GRANT, UNWANTED, Payment
from payments.values import CANCEL_REFUND_ID

from .payment_examples import (
    ASKED,
    AUTHORIZE,
    AUTHORIZED,
    CANCEL,
    CANCEL_ASKED,
    CAPTURE,
    CAPTURE_ASKED,
    CAPTURE_DECLINE,
    CAPTURED,
    CHARGE,
    CHARGED,
    CHARGING,
    DECLINE,
    DECLINED,
    GIVEN_BACK,
    GRANT,
    HELD,
    ID,
    ORDER,
    PRICE,
    RELEASE,
    VOID_ASKED,
    VOID_ASKED_EARLY,
    VOIDED,
    WHY,
    give_back,
    refund,
    refund_asked,
    refunded,
)

EVERY_COMMAND_BUT_THE_FIRST_AND_CANCEL = [
    CAPTURE,
    refund(1),
    GRANT,
    DECLINE,
    CHARGE,
    CAPTURE_DECLINE,
    give_back(),
    RELEASE,
]
CANCELLED_EARLY = PaymentVoided(reason=WHY)
M = TypeVar("M", bound=Message)


def _of_nothing(event: M) -> M:
    copy = type(event)()
    copy.CopyFrom(event)
    copy.amount.minor_units = 0  # type: ignore[attr-defined]
    return copy


@pytest.mark.parametrize("command", EVERY_COMMAND_BUT_THE_FIRST_AND_CANCEL, ids=lambda c: type(c).__name__)
def test_a_payment_that_was_never_requested_is_not_found(command: Message) -> None:
    given(Payment, ID).when(command).then_rejected("PAYMENT_NOT_FOUND")


class TestAuthorize:
    def test_has_the_amount_held(self) -> None:
        given(Payment, ID).when(AUTHORIZE).then(ASKED).then_state(
            PaymentState(status=PaymentStatus.PAYMENT_STATUS_AUTHORIZING, order_id=ORDER, amount=PRICE)
        )

    def test_happens_once(self) -> None:
        given(Payment, ID, ASKED).when(AUTHORIZE).then_rejected("PAYMENT_ALREADY_EXISTS")

    def test_happens_once_even_after_a_decline(self) -> None:
        given(Payment, ID, ASKED, DECLINED).when(AUTHORIZE).then_rejected("PAYMENT_ALREADY_EXISTS")

    def test_comes_too_late_after_a_cancellation(self) -> None:
        given(Payment, ID).when(CANCEL).when(AUTHORIZE).then_rejected("PAYMENT_CANCELLED")

    def test_needs_an_amount_and_a_card(self) -> None:
        given(Payment, ID).when(type(AUTHORIZE)(payment_id=ID, order_id=ORDER)).then_invalid(
            "amount", "card_token"
        )


class TestCapture:
    def test_has_charged_what_is_held(self) -> None:
        given(Payment, ID, *HELD).when(CAPTURE).then(CAPTURE_ASKED)

    @pytest.mark.parametrize(
        ("before", "reason"),
        [
            ([ASKED], "PAYMENT_NOT_AUTHORIZED"),
            ([ASKED, DECLINED], "PAYMENT_DECLINED"),
            (CHARGING, "CAPTURE_UNDER_WAY"),
            (CHARGED, "PAYMENT_ALREADY_CAPTURED"),
            (GIVEN_BACK, "PAYMENT_REFUNDED"),
            ([ASKED, VOID_ASKED_EARLY], "PAYMENT_CANCELLED"),
            ([*HELD, VOID_ASKED], "PAYMENT_CANCELLED"),
            ([*HELD, VOID_ASKED, VOIDED], "PAYMENT_CANCELLED"),
            ([*CHARGING, CANCEL_ASKED], "PAYMENT_CANCELLED"),
            ([CANCELLED_EARLY], "PAYMENT_CANCELLED"),
        ],
    )
    def test_needs_what_is_held(self, before: list[Message], reason: str) -> None:
        given(Payment, ID, *before).when(CAPTURE).then_rejected(reason)


class TestRefund:
    def test_gives_back_a_part(self) -> None:
        given(Payment, ID, *CHARGED).when(refund(300)).then(refund_asked(300))

    def test_gives_back_in_parts_until_nothing_is_left(self) -> None:
        before = (*CHARGED, refund_asked(300, "r-1"), refunded(300, "r-1"))
        given(Payment, ID, *before).when(refund(700, "r-2")).then(refund_asked(700, "r-2")).when(
            give_back("r-2")
        ).then(refunded(700, "r-2", in_full=True)).then_state(status=PaymentStatus.PAYMENT_STATUS_REFUNDED)

    def test_counts_what_is_under_way(self) -> None:
        before = (*CHARGED, refund_asked(300, "r-1"), refunded(300, "r-1"), refund_asked(200, "r-2"))
        given(Payment, ID, *before).when(refund(501, "r-3")).then_rejected(
            "REFUND_EXCEEDS_CAPTURE", refundable="500"
        )

    @pytest.mark.parametrize("end", [[], [refunded(300)]])
    def test_happens_once(self, end: list[Message]) -> None:
        given(Payment, ID, *CHARGED, refund_asked(300), *end).when(refund(300)).then_rejected(
            "REFUND_ALREADY_REQUESTED"
        )

    @pytest.mark.parametrize(
        "before",
        [[ASKED], HELD, CHARGING, [ASKED, DECLINED], [ASKED, VOID_ASKED, VOIDED], [CANCELLED_EARLY]],
    )
    def test_needs_a_charge(self, before: list[Message]) -> None:
        given(Payment, ID, *before).when(refund(1)).then_rejected("PAYMENT_NOT_CAPTURED")

    def test_is_refused_when_all_is_given_back(self) -> None:
        given(Payment, ID, *GIVEN_BACK).when(refund(1, "r-2")).then_rejected("REFUND_EXCEEDS_CAPTURE")

    def test_gives_something_back(self) -> None:
        given(Payment, ID, *CHARGED).when(refund(0)).then_rejected("REFUND_EMPTY")

    def test_keeps_the_currency(self) -> None:
        command = refund(1)
        command.amount.CopyFrom(Money(minor_units=1, currency="USD"))
        given(Payment, ID, *CHARGED).when(command).then_rejected("REFUND_CURRENCY_DIFFERS", currency="EUR")

    @pytest.mark.parametrize("refund_id", ["", CANCEL_REFUND_ID, "a/b"])
    def test_has_an_id_that_no_cancellation_and_no_other_payment_has(self, refund_id: str) -> None:
        given(Payment, ID, *CHARGED).when(refund(1, refund_id)).then_invalid("refund_id")


class TestCancel:
    def test_before_it_was_asked_for_ends_it_for_good(self) -> None:
        given(Payment, ID).when(CANCEL).then(CANCELLED_EARLY).when(CANCEL).then_nothing()

    def test_while_authorizing_has_let_go_whatever_the_provider_answers(self) -> None:
        given(Payment, ID, ASKED).when(CANCEL).then(VOID_ASKED_EARLY)

    def test_lets_go_what_is_held(self) -> None:
        given(Payment, ID, *HELD).when(CANCEL).then(VOID_ASKED)

    def test_while_capturing_waits_for_the_provider(self) -> None:
        given(Payment, ID, *CHARGING).when(CANCEL).then(CANCEL_ASKED)

    def test_gives_back_what_is_charged(self) -> None:
        given(Payment, ID, *CHARGED).when(CANCEL).then(refund_asked(1000, CANCEL_REFUND_ID))

    def test_gives_back_the_rest_of_what_is_charged(self) -> None:
        before = (*CHARGED, refund_asked(300, "r-1"), refunded(300, "r-1"), refund_asked(200, "r-2"))
        given(Payment, ID, *before).when(CANCEL).then(refund_asked(500, CANCEL_REFUND_ID))

    def test_leaves_it_to_refunds_under_way(self) -> None:
        given(Payment, ID, *CHARGED, refund_asked(1000)).when(CANCEL).then_nothing()

    def test_gives_back_a_charge_of_nothing_like_any_other(self) -> None:
        free = [_of_nothing(event) for event in CHARGED]
        scenario = given(Payment, ID, *free).when(CANCEL).then(refund_asked(0, CANCEL_REFUND_ID))
        scenario.when(give_back(CANCEL_REFUND_ID)).then(refunded(0, CANCEL_REFUND_ID, in_full=True))

    @pytest.mark.parametrize(
        "over",
        [
            [ASKED, DECLINED],
            [ASKED, VOID_ASKED_EARLY, VOIDED],
            GIVEN_BACK,
            [ASKED, VOID_ASKED_EARLY],
            [*HELD, VOID_ASKED],
            [*CHARGING, CANCEL_ASKED],
            [*CHARGED, refund_asked(1000, CANCEL_REFUND_ID)],
        ],
    )
    def test_changes_nothing_where_nothing_is_left_to_undo(self, over: list[Message]) -> None:
        given(Payment, ID, *over).when(CANCEL).then_nothing()


class TestAuthorization:
    def test_holds_the_amount(self) -> None:
        given(Payment, ID, ASKED).when(GRANT).then(AUTHORIZED)

    @pytest.mark.parametrize("before", [HELD, CHARGING, CHARGED, GIVEN_BACK])
    def test_told_again_changes_nothing(self, before: list[Message]) -> None:
        given(Payment, ID, *before).when(GRANT).then_nothing()

    def test_with_another_code_is_refused(self) -> None:
        other = type(GRANT)(payment_id=ID, authorization_code="auth-2")
        given(Payment, ID, *HELD).when(other).then_rejected(
            "AUTHORIZATION_CODE_DIFFERS", known="auth-1", code="auth-2"
        )

    def test_after_a_cancellation_is_left_to_the_void_under_way(self) -> None:
        scenario = given(Payment, ID, ASKED, VOID_ASKED_EARLY).when(GRANT).then_nothing()
        scenario.when(RELEASE).then(VOIDED).when(GRANT).then_nothing()

    def test_after_a_decline_is_let_go_once(self) -> None:
        let_go = VoidRequested(order_id=ORDER, authorization_code="auth-1", reason=LATE_GRANT)
        scenario = given(Payment, ID, ASKED, DECLINED).when(GRANT).then(let_go)
        scenario.when(GRANT).then_nothing().when(RELEASE).then_nothing()


class TestDecline:
    def test_ends_it(self) -> None:
        given(Payment, ID, ASKED).when(DECLINE).then(DECLINED)

    @pytest.mark.parametrize("before", [[ASKED, DECLINED], [ASKED, VOID_ASKED_EARLY, VOIDED]])
    def test_told_again_or_late_changes_nothing(self, before: list[Message]) -> None:
        given(Payment, ID, *before).when(DECLINE).then_nothing()

    def test_ends_a_cancellation_too(self) -> None:
        given(Payment, ID, ASKED, VOID_ASKED_EARLY).when(DECLINE).then(VOIDED).when(RELEASE).then_nothing()

    @pytest.mark.parametrize("before", [HELD, CHARGING, CHARGED, GIVEN_BACK, [*HELD, VOID_ASKED]])
    def test_cannot_take_back_what_was_granted(self, before: list[Message]) -> None:
        given(Payment, ID, *before).when(DECLINE).then_rejected("PAYMENT_ALREADY_AUTHORIZED")


class TestCharge:
    def test_charges_the_amount(self) -> None:
        given(Payment, ID, *CHARGING).when(CHARGE).then(CAPTURED)

    @pytest.mark.parametrize("before", [CHARGED, GIVEN_BACK])
    def test_told_again_changes_nothing(self, before: list[Message]) -> None:
        given(Payment, ID, *before).when(CHARGE).then_nothing()

    @pytest.mark.parametrize("before", [CHARGED, GIVEN_BACK])
    def test_a_second_time_is_refused(self, before: list[Message]) -> None:
        second = type(CHARGE)(payment_id=ID, capture_code="cap-2")
        given(Payment, ID, *before).when(second).then_rejected("CAPTURE_CODE_DIFFERS", known="cap-1")

    @pytest.mark.parametrize(
        "before", [[*CHARGING, CANCEL_ASKED], [*HELD, VOID_ASKED], [*HELD, VOID_ASKED, VOIDED]]
    )
    def test_after_a_cancellation_is_given_back_at_once(self, before: list[Message]) -> None:
        scenario = given(Payment, ID, *before).when(CHARGE)
        scenario.then(CAPTURED, refund_asked(1000, CANCEL_REFUND_ID))
        scenario.when(CHARGE).then_nothing().when(give_back(CANCEL_REFUND_ID)).then(
            refunded(1000, CANCEL_REFUND_ID, in_full=True)
        )

    def test_after_a_decline_is_given_back_at_once(self) -> None:
        back = refund_asked(1000, CANCEL_REFUND_ID)
        back.reason = UNWANTED
        given(Payment, ID, *HELD, DECLINED).when(CHARGE).then(CAPTURED, back)

    def test_overtaking_everything_is_still_a_charge(self) -> None:
        given(Payment, ID, ASKED).when(CHARGE).then(CAPTURED)

    def test_of_what_was_never_asked_for_is_refused(self) -> None:
        given(Payment, ID, CANCELLED_EARLY).when(CHARGE).then_rejected("CAPTURE_NOT_REQUESTED")


class TestCaptureDecline:
    def test_ends_it(self) -> None:
        declined = type(DECLINED)(order_id=ORDER, decline_code="AUTHORIZATION_EXPIRED")
        given(Payment, ID, *CHARGING).when(CAPTURE_DECLINE).then(declined).when(
            CAPTURE_DECLINE
        ).then_nothing()

    def test_ends_a_cancellation_too(self) -> None:
        given(Payment, ID, *CHARGING, CANCEL_ASKED).when(CAPTURE_DECLINE).then(VOIDED)

    @pytest.mark.parametrize("before", [CHARGED, GIVEN_BACK])
    def test_cannot_take_back_a_charge(self, before: list[Message]) -> None:
        given(Payment, ID, *before).when(CAPTURE_DECLINE).then_rejected("PAYMENT_ALREADY_CAPTURED")

    @pytest.mark.parametrize("before", [[ASKED], HELD])
    def test_needs_a_question(self, before: list[Message]) -> None:
        given(Payment, ID, *before).when(CAPTURE_DECLINE).then_rejected("CAPTURE_NOT_REQUESTED")


class TestGivingBack:
    def test_a_part(self) -> None:
        given(Payment, ID, *CHARGED, refund_asked(300)).when(give_back()).then(refunded(300)).then_state(
            status=PaymentStatus.PAYMENT_STATUS_CAPTURED
        )

    def test_told_again_changes_nothing(self) -> None:
        given(Payment, ID, *CHARGED, refund_asked(300), refunded(300)).when(give_back()).then_nothing()

    def test_needs_a_question(self) -> None:
        given(Payment, ID, *CHARGED).when(give_back()).then_rejected("REFUND_NOT_REQUESTED")


class TestRelease:
    @pytest.mark.parametrize("before", [[ASKED, VOID_ASKED_EARLY], [*HELD, VOID_ASKED]])
    def test_ends_a_cancellation(self, before: list[Message]) -> None:
        given(Payment, ID, *before).when(RELEASE).then(VOIDED).when(RELEASE).then_nothing()

    def test_after_a_charge_that_came_nevertheless_changes_nothing(self) -> None:
        before = (*HELD, VOID_ASKED, CAPTURED, refund_asked(1000, CANCEL_REFUND_ID))
        given(Payment, ID, *before).when(RELEASE).then_nothing()

    @pytest.mark.parametrize("before", [[ASKED], HELD, CHARGING, [*CHARGING, CANCEL_ASKED], CHARGED])
    def test_needs_a_question(self, before: list[Message]) -> None:
        given(Payment, ID, *before).when(RELEASE).then_rejected("VOID_NOT_REQUESTED")
