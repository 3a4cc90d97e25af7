"""How the sagas call the provider and record its answers."""

from __future__ import annotations

import pytest
from google.protobuf.message import Message
from intent.testing import SagaScript, scripted
from intent_contracts.payments.v1 import (
    ChargeAction,
    ChargeAnswer,
    ChargeCall,
    RecordCapture,
    RecordRefund,
    RecordVoid,
)
from payments.ports import CHARGE
from payments.sagas import AuthorizeCharge, CaptureCharge, RefundCharge, VoidCharge

from .payment_examples import (
    ASKED,
    CAPTURE_ASKED,
    CAPTURE_DECLINE,
    CARD,
    DECLINE,
    GRANT,
    ID,
    PRICE,
    RELEASE,
    VOID_ASKED,
    VOID_ASKED_EARLY,
    eur,
    give_back,
    refund_asked,
)
from .payment_examples import (
    CHARGE as RECORD_CHARGE,
)

KEY = f"acme/{ID}"


def authorizing() -> SagaScript:
    return scripted(AuthorizeCharge, ASKED, correlation=ID)


def capturing() -> SagaScript:
    return scripted(CaptureCharge, CAPTURE_ASKED, correlation=ID)


def refunding() -> SagaScript:
    return scripted(RefundCharge, refund_asked(300), correlation=f"{ID}/r-1", aggregate_id=ID)


def test_an_authorization_is_requested_under_the_key_of_the_payment_and_recorded() -> None:
    outcome = authorizing().answers(CHARGE, ChargeAnswer(code="auth-1", deliveries=1)).run()
    outcome.then_completed().then_sent(GRANT)
    asked = ChargeCall(
        action=ChargeAction.CHARGE_ACTION_AUTHORIZE,
        idempotency_key=KEY,
        authorization_key=KEY,
        amount=PRICE,
        card_token=CARD,
    )
    assert outcome.called == [asked]


def test_a_decline_is_recorded() -> None:
    answer = ChargeAnswer(decline_code="CARD_EXPIRED")
    authorizing().answers(CHARGE, answer).run().then_completed().then_sent(DECLINE)


def test_an_answer_that_is_delivered_twice_is_recorded_twice() -> None:
    answer = ChargeAnswer(code="auth-1", deliveries=2)
    authorizing().answers(CHARGE, answer).run().then_completed().then_sent(GRANT, GRANT)


def test_a_capture_names_the_authorization_and_is_recorded() -> None:
    outcome = capturing().answers(CHARGE, ChargeAnswer(code="cap-1")).run()
    outcome.then_completed().then_sent(RECORD_CHARGE)
    (asked,) = outcome.called
    assert isinstance(asked, ChargeCall)
    assert (asked.authorization_key, asked.charge_code, asked.amount) == (KEY, "auth-1", PRICE)


def test_a_declined_capture_is_recorded() -> None:
    answer = ChargeAnswer(decline_code="AUTHORIZATION_EXPIRED")
    capturing().answers(CHARGE, answer).run().then_completed().then_sent(CAPTURE_DECLINE)


def test_a_refund_has_a_key_of_its_own_and_is_recorded() -> None:
    outcome = refunding().answers(CHARGE, ChargeAnswer(code="ref-r-1")).run()
    outcome.then_completed().then_sent(give_back())
    (asked,) = outcome.called
    assert isinstance(asked, ChargeCall)
    assert (asked.idempotency_key, asked.authorization_key) == (f"{KEY}/r-1", KEY)
    assert (asked.charge_code, asked.amount) == ("cap-1", eur(300))


@pytest.mark.parametrize("requested", [VOID_ASKED, VOID_ASKED_EARLY])
def test_a_void_names_the_key_of_the_authorization_whether_its_answer_is_known_or_not(
    requested: Message,
) -> None:
    outcome = scripted(VoidCharge, requested, correlation=ID).answers(CHARGE, ChargeAnswer(code="void")).run()
    outcome.then_completed().then_sent(RELEASE)
    (asked,) = outcome.called
    assert isinstance(asked, ChargeCall)
    assert asked.authorization_key == KEY


def test_a_refund_or_void_that_the_provider_declines_is_left_to_an_operator() -> None:
    declined = ChargeAnswer(decline_code="ALREADY_CAPTURED")
    refunding().answers(CHARGE, declined).run().then_compensated("ALREADY_CAPTURED").then_sent()
    scripted(VoidCharge, VOID_ASKED, correlation=ID).answers(CHARGE, declined).run().then_compensated(
        "ALREADY_CAPTURED"
    ).then_sent()


def test_a_record_that_the_payment_refuses_is_shown_with_its_reason() -> None:
    for script, command, reason in (
        (capturing(), RecordCapture, "CAPTURE_CODE_DIFFERS"),
        (refunding(), RecordRefund, "REFUND_NOT_REQUESTED"),
    ):
        script.answers(CHARGE, ChargeAnswer(code="other")).rejects(command, reason)
        script.run().then_compensated(reason)
    voiding = scripted(VoidCharge, VOID_ASKED, correlation=ID).answers(CHARGE, ChargeAnswer(code="void"))
    voiding.rejects(RecordVoid, "VOID_NOT_REQUESTED").run().then_compensated("VOID_NOT_REQUESTED")
