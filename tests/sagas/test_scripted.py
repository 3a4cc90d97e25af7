"""What sagas do, run against scripts."""

from __future__ import annotations

from datetime import timedelta

import pytest
from intent.sagas import Saga
from intent.testing import SagaScript, scripted
from intent_contracts.inventory.v1 import ReleaseStock, ReserveStock
from intent_contracts.orders.v1 import ConfirmOrder, OrderPlaced, OrderView
from intent_contracts.payments.v1 import AuthorizePayment, CancelPayment

from .saga_examples import (
    ASK,
    AUTHORIZE,
    AUTHORIZED,
    CANCELLED,
    CAPTURE,
    CHECKOUT,
    CONFIRM,
    DECLINED,
    RELEASE,
    RESERVE,
    UNDO_PAYMENT,
    Accepting,
    Asking,
    Changed,
    Child,
    Committed,
    Forgiving,
    Interruptible,
    Parent,
    Plain,
    SideBySide,
    Undeclared,
)


def story(saga: type[Saga]) -> SagaScript:
    return scripted(saga, CHECKOUT, correlation="o-1")


def test_it_takes_its_steps_in_order() -> None:
    outcome = story(Plain).on(AuthorizePayment, emits=AUTHORIZED).run()
    outcome.then_completed().then_sent(RESERVE, AUTHORIZE, CONFIRM)
    assert outcome.elapsed == timedelta(0)


def test_a_rejected_step_is_not_undone_but_those_before_are() -> None:
    outcome = story(Plain).rejects(AuthorizePayment, "PAYMENT_CANCELLED").run()
    outcome.then_compensated("PAYMENT_CANCELLED").then_sent(RESERVE, AUTHORIZE, RELEASE)


def test_compensations_run_in_reverse() -> None:
    outcome = story(Plain).on(AuthorizePayment, emits=DECLINED).run()
    outcome.then_compensated("CARD_EXPIRED").then_sent(RESERVE, AUTHORIZE, UNDO_PAYMENT, RELEASE)


def test_an_event_that_does_not_come_in_time_fails_it() -> None:
    outcome = story(Plain).run().then_compensated("TIMED_OUT")
    assert outcome.elapsed == timedelta(hours=1)


def test_an_event_that_came_earlier_counts() -> None:
    outcome = story(Plain).on(ReserveStock, emits=AUTHORIZED).run()
    outcome.then_completed().then_sent(RESERVE, AUTHORIZE, CONFIRM)


def test_it_waits_for_a_context_that_is_unavailable() -> None:
    outcome = (
        story(Plain).on(AuthorizePayment, emits=AUTHORIZED, away_for=timedelta(days=3)).run().then_completed()
    )
    assert outcome.elapsed == timedelta(days=3)


def test_a_rejection_of_a_compensation_may_count_as_done() -> None:
    script = story(Plain).on(AuthorizePayment, emits=DECLINED)
    outcome = script.rejects(ReleaseStock, "RESERVATION_NOT_FOUND").run()
    outcome.then_compensated("CARD_EXPIRED").then_sent(RESERVE, AUTHORIZE, UNDO_PAYMENT, RELEASE)


def stuck() -> SagaScript:
    return story(Plain).on(AuthorizePayment, emits=DECLINED).rejects(CancelPayment, "INTERNAL")


def test_a_rejected_compensation_makes_it_stuck() -> None:
    stuck().run().then_stuck("INTERNAL").then_sent(RESERVE, AUTHORIZE, UNDO_PAYMENT)


def test_an_operator_resumes_it() -> None:
    outcome = stuck().on(CancelPayment).resumed_at(timedelta(hours=2)).run()
    outcome.then_compensated("CARD_EXPIRED").then_sent(
        RESERVE, AUTHORIZE, UNDO_PAYMENT, UNDO_PAYMENT, RELEASE
    )
    undone = next(step for step in outcome.report.steps if step.path == "undo-2")
    assert (undone.attempts, undone.compensates) == (2, "2")


def test_an_operator_skips_a_compensation() -> None:
    outcome = stuck().resumed_at(timedelta(hours=2), skip=True).run()
    outcome.then_compensated("CARD_EXPIRED").then_sent(RESERVE, AUTHORIZE, UNDO_PAYMENT, RELEASE)


def test_each_sending_has_an_id_of_its_own_that_is_always_the_same() -> None:
    def ids() -> list[str]:
        report = stuck().on(CancelPayment).resumed_at(timedelta(hours=2)).run().report
        return [step.command_id for step in report.steps if step.command_id]

    assert ids() == ids()
    assert len(set(ids())) == 4


def test_an_event_ends_a_wait() -> None:
    outcome = story(Interruptible).at(timedelta(hours=3), CANCELLED).run()
    outcome.then_compensated("INTERRUPTED").then_sent(RESERVE, RELEASE)
    assert outcome.elapsed == timedelta(hours=3)


def test_a_command_gets_its_outcome_before_an_event_interrupts() -> None:
    script = story(Interruptible).on(ReserveStock, away_for=timedelta(hours=5))
    outcome = script.at(timedelta(hours=3), CANCELLED).run()
    outcome.then_compensated("INTERRUPTED").then_sent(RESERVE, RELEASE)
    assert outcome.elapsed == timedelta(hours=5)


def test_an_event_after_its_block_ends_nothing() -> None:
    script = story(Interruptible).on(ConfirmOrder, away_for=timedelta(hours=1))
    outcome = script.at(timedelta(days=1, minutes=30), CANCELLED).run().then_completed()
    assert list(outcome.report.untaken) == ["orders.v1.OrderCancelled"]


def test_it_may_go_another_way_after_a_failure() -> None:
    script = story(Forgiving).rejects(ReserveStock, "OUT_OF_STOCK").at(timedelta(hours=1), CANCELLED)
    script.run().then_completed().then_sent(RESERVE, CAPTURE, CONFIRM)


def test_an_accepted_rejection_is_an_answer_and_leaves_nothing_to_undo() -> None:
    script = story(Accepting).rejects(ReserveStock, "TOO_MANY_RESERVATIONS").on(ReserveStock)
    script.rejects(AuthorizePayment, "PAYMENT_ALREADY_EXISTS").rejects(ConfirmOrder, "ORDER_CANCELLED")
    outcome = script.run().then_compensated("ORDER_CANCELLED")
    outcome.then_sent(RESERVE, RESERVE, AUTHORIZE, CONFIRM, RELEASE)
    assert outcome.elapsed == timedelta(minutes=1)


def test_a_rejection_that_is_not_accepted_fails_it() -> None:
    script = story(Accepting).rejects(AuthorizePayment, "PAYMENT_CANCELLED")
    script.run().then_compensated("PAYMENT_CANCELLED").then_sent(RESERVE, AUTHORIZE, RELEASE)


def test_an_operator_cancels_it() -> None:
    outcome = story(Plain).cancelled_at(timedelta(minutes=1)).run()
    outcome.then_compensated("CANCELLED").then_sent(RESERVE, AUTHORIZE, UNDO_PAYMENT, RELEASE)


def test_steps_side_by_side() -> None:
    outcome = story(SideBySide).on(AuthorizePayment, emits=AUTHORIZED).run()
    outcome.then_completed().then_sent(RESERVE, AUTHORIZE, CONFIRM)
    assert [step.path for step in outcome.report.steps] == ["1.1.1", "1.2.1", "1.2.2", "2"]


def test_a_failing_branch_ends_the_waits_of_the_others() -> None:
    script = story(SideBySide).rejects(ReserveStock, "OUT_OF_STOCK", away_for=timedelta(hours=1))
    outcome = script.run().then_compensated("OUT_OF_STOCK").then_sent(RESERVE, AUTHORIZE, UNDO_PAYMENT)
    assert outcome.elapsed == timedelta(hours=1)


def test_nothing_before_the_point_of_no_return_is_undone() -> None:
    outcome = story(Committed).rejects(ConfirmOrder, "ORDER_CANCELLED").run()
    outcome.then_compensated("ORDER_CANCELLED").then_sent(RESERVE, AUTHORIZE, CONFIRM, UNDO_PAYMENT)


def test_it_calls_a_port() -> None:
    outcome = story(Asking).answers(ASK, OrderView(version=1)).run().then_completed().then_sent(CONFIRM)
    assert outcome.called == [OrderView(order_id="o-1")]


def test_a_child_completes() -> None:
    story(Parent).run().then_completed().then_sent(RESERVE, CONFIRM)


def test_a_child_that_fails_is_not_undone_again() -> None:
    script = story(Parent).child(Child, failing="OUT_OF_STOCK")
    script.run().then_compensated("CHILD").then_sent(RESERVE, RELEASE)


def test_one_that_began_before_a_change_continues_on_the_old_code() -> None:
    story(Changed).run().then_completed().then_sent(CAPTURE, CONFIRM)
    story(Changed).before("capture-first").run().then_completed().then_sent(CONFIRM)


def test_it_sends_only_what_its_contract_names() -> None:
    with pytest.raises(RuntimeError, match=r"sends orders\.v1\.PlaceOrder, which its contract does not name"):
        story(Undeclared).run()


def test_a_context_that_stays_unavailable_makes_it_stuck_until_it_is_back() -> None:
    never = story(Plain).on(AuthorizePayment, away_for=timedelta.max)
    never.run().then_stuck("UNAVAILABLE").then_sent(RESERVE, AUTHORIZE)
    back = story(Plain).on(AuthorizePayment, emits=AUTHORIZED, away_for=timedelta(days=3))
    back.run().then_completed().then_sent(RESERVE, AUTHORIZE, CONFIRM)


def test_a_skipped_command_that_may_still_have_an_effect_is_undone() -> None:
    script = story(Plain).on(AuthorizePayment, away_for=timedelta.max)
    outcome = script.parks_after(timedelta(hours=1)).resumed_at(timedelta(hours=2), skip=True).run()
    outcome.then_compensated("SKIPPED").then_sent(RESERVE, AUTHORIZE, UNDO_PAYMENT, RELEASE)


def test_without_a_limit_it_waits_for_ever() -> None:
    script = story(Plain).on(AuthorizePayment, emits=AUTHORIZED, away_for=timedelta(days=400))
    script.parks_after(None).resumed_at(timedelta(days=9), skip=True).run().then_completed()


def test_a_handler_that_raises_is_retried_and_never_a_rejection() -> None:
    script = story(Plain).fails(AuthorizePayment, times=3).on(AuthorizePayment, emits=AUTHORIZED)
    outcome = script.run().then_completed().then_sent(RESERVE, AUTHORIZE, CONFIRM)
    assert outcome.elapsed == timedelta(seconds=7)


def test_a_handler_that_goes_on_raising_makes_it_stuck() -> None:
    outcome = story(Plain).fails(AuthorizePayment).run().then_stuck("INTERNAL")
    outcome.then_sent(RESERVE, AUTHORIZE)
    assert outcome.elapsed == timedelta(minutes=4, seconds=15)


def test_an_operator_resumes_what_is_stuck() -> None:
    script = story(Plain).fails(AuthorizePayment, times=9).on(AuthorizePayment, emits=AUTHORIZED)
    script.resumed_at(timedelta(hours=1)).run().then_completed().then_sent(RESERVE, AUTHORIZE, CONFIRM)


def test_what_an_operator_skips_counts_as_rejected_and_leaves_nothing_to_undo() -> None:
    script = story(Plain).fails(AuthorizePayment).resumed_at(timedelta(hours=1), skip=True)
    script.run().then_compensated("SKIPPED").then_sent(RESERVE, AUTHORIZE, RELEASE)


def test_an_operator_cancels_what_is_held_up_by_a_defect() -> None:
    script = story(Plain).fails(AuthorizePayment).cancelled_at(timedelta(minutes=1))
    outcome = script.run().then_compensated("CANCELLED").then_sent(RESERVE, AUTHORIZE, RELEASE)
    assert outcome.elapsed == timedelta(minutes=1)


def test_one_that_began_before_defects_were_parked_takes_them_for_rejections() -> None:
    script = story(Plain).fails(AuthorizePayment).before("defects-park")
    script.run().then_compensated("INTERNAL").then_sent(RESERVE, AUTHORIZE, RELEASE)


def test_a_taken_id_parks_and_another_is_used_when_an_operator_says_so() -> None:
    script = story(Plain).finds_id_taken(AuthorizePayment).on(AuthorizePayment, emits=AUTHORIZED)
    stuck = script.run().then_stuck("COMMAND_ID_REUSED")
    stuck.then_sent(RESERVE, AUTHORIZE)
    script = story(Plain).finds_id_taken(AuthorizePayment).on(AuthorizePayment, emits=AUTHORIZED)
    outcome = script.resumed_at(timedelta(hours=1)).run().then_completed()
    outcome.then_sent(RESERVE, AUTHORIZE, AUTHORIZE, CONFIRM)


def test_one_that_began_before_taken_ids_were_parked_takes_them_for_rejections() -> None:
    script = story(Plain).finds_id_taken(AuthorizePayment).before("taken-ids-park")
    script.run().then_compensated("COMMAND_ID_REUSED").then_sent(RESERVE, AUTHORIZE, RELEASE)


def test_a_parked_compensation_is_retried_under_the_id_that_may_have_an_effect() -> None:
    script = story(Plain).on(AuthorizePayment, emits=DECLINED)
    script.on(CancelPayment, away_for=timedelta(days=3)).resumed_at(timedelta(days=2))
    script.run().then_compensated("CARD_EXPIRED").then_sent(RESERVE, AUTHORIZE, UNDO_PAYMENT, RELEASE)


def test_a_port_that_does_not_answer_makes_it_stuck_until_it_does() -> None:
    asking = scripted(Asking, CHECKOUT, correlation="o-1")
    asking.answers(ASK, OrderView(version=1), away_for=timedelta(days=2)).run().then_completed()
    silent = scripted(Asking, CHECKOUT, correlation="o-1").answers(ASK, away_for=timedelta.max)
    silent.run().then_stuck("NO_ANSWER")


def test_an_operator_skips_a_port_or_cancels_the_saga() -> None:
    for way in ("skip", "cancel"):
        script = scripted(Asking, CHECKOUT, correlation="o-1").answers(ASK, away_for=timedelta.max)
        if way == "skip":
            script.resumed_at(timedelta(days=2), skip=True).run().then_compensated("SKIPPED")
        else:
            outcome = script.cancelled_at(timedelta(minutes=1)).run().then_compensated("CANCELLED")
            assert outcome.elapsed == timedelta(minutes=1)


def test_a_rejection_that_the_contract_does_not_declare_cannot_be_scripted() -> None:
    with pytest.raises(AssertionError) as refused:
        story(Plain).rejects(ReleaseStock, "RESERVATION_GONE")
    assert str(refused.value) == (
        "the script rejects inventory.v1.ReleaseStock with 'RESERVATION_GONE', which its contract does not "
        "declare (declared: WAREHOUSE_NOT_FOUND, RESERVATION_NOT_FOUND); add 'RESERVATION_GONE' to `rejects` "
        "in the option (intent.v1.command) of ReleaseStock in proto/inventory/v1/commands.proto and run "
        "`make proto`, or give a declared reason"
    )


def test_an_event_that_it_does_not_listen_to_cannot_be_scripted() -> None:
    with pytest.raises(AssertionError, match=r"does not listen to orders\.v1\.OrderPlaced"):
        story(Plain).at(timedelta(0), OrderPlaced())
