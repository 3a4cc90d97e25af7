"""The outcome of a checked-out order, by what happens to it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from google.protobuf.message import Message
from intent.testing import SagaOutcome, SagaScript, scripted
from intent_contracts.inventory.v1 import ReceiveStock, ReleaseStock, ReserveStock, ShipOutStock, StockLine
from intent_contracts.orders.v1 import (
    AbandonOrder,
    CancellationRequested,
    CompleteOrder,
    ConfirmOrder,
    OrderCancelled,
    ShipOrder,
)
from intent_contracts.payments.v1 import (
    AuthorizePayment,
    CancelPayment,
    CapturePayment,
    Money,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentDeclined,
    PaymentVoided,
)
from intent_contracts.shipping.v1 import (
    Address,
    ArrangeParcel,
    CancelParcel,
    ParcelCancelled,
    ParcelDelivered,
    ParcelHandedOver,
    ParcelReturned,
)
from orders.sagas import DELIVERY_TIME, PAYMENT_TIME, PICK_UP_TIME, RETURN_TIME, ROOM_PAUSES, FulfilOrder

from .order_examples import ID, checkout_started, line

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
CHECKOUT = checkout_started(line("a", 2, 500), line("b", 1, 30))
GOODS = [StockLine(sku="sku-a", quantity=2), StockLine(sku="sku-b", quantity=1)]

AUTHORIZED = PaymentAuthorized(order_id=ID)
DECLINED = PaymentDeclined(order_id=ID, decline_code="CARD_EXPIRED")
VOIDED = PaymentVoided(order_id=ID, reason="by hand")
CAPTURED = PaymentCaptured(order_id=ID)
HANDED_OVER = ParcelHandedOver(order_id=ID)
DELIVERED = ParcelDelivered(order_id=ID)
RETURNED = ParcelReturned(order_id=ID, reason="nobody home")
STOPPED = ParcelCancelled(order_id=ID, reason="the address does not exist")
CANCELLED = OrderCancelled(reason="changed my mind")
REQUESTED = CancellationRequested(reason="changed my mind")

SECURED = (ReserveStock, AuthorizePayment, ConfirmOrder)
SENT_OFF = (*SECURED, ArrangeParcel)
LEFT = (ShipOrder, ShipOutStock, CapturePayment)
SHIPPED = (*SENT_OFF, *LEFT)


def checked_out() -> SagaScript:
    return scripted(FulfilOrder, CHECKOUT, correlation=ID)


def paid() -> SagaScript:
    """Return a script in which the provider authorizes after an hour."""
    return checked_out().on(AuthorizePayment, emits=AUTHORIZED, after=HOUR)


def fetched() -> SagaScript:
    """Return the script in which, besides, the carrier fetches the parcel after a day."""
    return paid().on(ArrangeParcel, emits=HANDED_OVER, after=DAY)


def charged() -> SagaScript:
    """Return the script in which, besides, the provider charges for the goods."""
    return fetched().on(CapturePayment, emits=CAPTURED, after=HOUR)


def reason_of(outcome: SagaOutcome) -> str:
    """Return why the order was abandoned."""
    return next(command.reason for command in outcome.sent if isinstance(command, AbandonOrder))


class TestFulfilled:
    def test_with_one_reservation_one_payment_and_one_parcel_for_the_order(self) -> None:
        outcome = charged().on(ShipOrder, emits=DELIVERED, after=2 * DAY).run().then_completed()
        outcome.then_sent(
            ReserveStock(warehouse_id="w-1", reservation_id=ID, order_id=ID, lines=GOODS),
            AuthorizePayment(
                payment_id=ID,
                order_id=ID,
                amount=Money(minor_units=1030, currency="EUR"),
                card_token="tok-ok",
                customer_id="ann",
            ),
            ConfirmOrder(order_id=ID),
            ArrangeParcel(
                parcel_id=ID,
                order_id=ID,
                ship_to=Address(name="Ann", street="Elm 1", postal_code="10115", city="Berlin", country="DE"),
                articles=3,
                customer_id="ann",
            ),
            ShipOrder(order_id=ID),
            ShipOutStock(warehouse_id="w-1", reservation_id=ID),
            CapturePayment(payment_id=ID),
            CompleteOrder(order_id=ID),
        )
        assert outcome.elapsed == 3 * DAY + HOUR
        assert not outcome.report.untaken

    def test_reserves_what_several_lines_want_of_one_article_together(self) -> None:
        both = [line("a", 2, 500), line("b", 1, 30)]
        both[1].sku = "sku-a"
        outcome = scripted(FulfilOrder, checkout_started(*both), correlation=ID).run()
        assert isinstance(outcome.sent[0], ReserveStock)
        assert list(outcome.sent[0].lines) == [StockLine(sku="sku-a", quantity=3)]

    def test_whatever_comes_first(self) -> None:
        early = checked_out().at(timedelta(0), DELIVERED, CAPTURED, HANDED_OVER, AUTHORIZED)
        early.run().then_completed().then_sent(*SHIPPED, CompleteOrder)

    def test_when_a_context_was_away_for_days(self) -> None:
        script = (
            checked_out()
            .on(ReserveStock, away_for=3 * DAY)
            .on(AuthorizePayment, emits=AUTHORIZED, away_for=10 * DAY)
            .on(ArrangeParcel, emits=HANDED_OVER, away_for=10 * DAY)
            .on(CapturePayment, emits=(CAPTURED, DELIVERED), away_for=30 * DAY)
        )
        script.run().then_completed().then_sent(*SHIPPED, CompleteOrder)

    @pytest.mark.parametrize(
        ("command", "reason"),
        [
            (ConfirmOrder, "ORDER_ALREADY_CONFIRMED"),
            (ShipOrder, "ORDER_ALREADY_SHIPPED"),
            (ShipOutStock, "RESERVATION_NOT_FOUND"),
            (CapturePayment, "PAYMENT_ALREADY_CAPTURED"),
            (CapturePayment, "CAPTURE_UNDER_WAY"),
            (CompleteOrder, "ORDER_ALREADY_COMPLETED"),
        ],
    )
    def test_when_a_person_was_faster(self, command: type[Message], reason: str) -> None:
        script = fetched().at(5 * DAY, CAPTURED, DELIVERED).rejects(command, reason)
        script.run().then_completed().then_sent(*SHIPPED, CompleteOrder)

    def test_once_a_warehouse_has_room_again(self) -> None:
        script = charged().on(ShipOrder, emits=DELIVERED)
        for _ in range(3):
            script.rejects(ReserveStock, "TOO_MANY_RESERVATIONS")
        outcome = script.on(ReserveStock).run().then_completed()
        outcome.then_sent(ReserveStock, ReserveStock, ReserveStock, *SHIPPED, CompleteOrder)
        assert outcome.elapsed == timedelta(seconds=10 + 20 + 40) + HOUR + DAY + HOUR


class TestNotSecured:
    @pytest.mark.parametrize("reason", ["OUT_OF_STOCK", "WAREHOUSE_NOT_FOUND", "RESERVATION_DIFFERS"])
    def test_without_goods(self, reason: str) -> None:
        outcome = checked_out().rejects(ReserveStock, reason).run().then_compensated(reason)
        outcome.then_sent(ReserveStock, AbandonOrder(order_id=ID, reason=f"{reason}: scripted: {reason}"))

    def test_when_a_warehouse_never_has_room(self) -> None:
        outcome = checked_out().rejects(ReserveStock, "TOO_MANY_RESERVATIONS").run()
        outcome.then_compensated("TOO_MANY_RESERVATIONS")
        outcome.then_sent(*[ReserveStock] * (len(ROOM_PAUSES) + 1), AbandonOrder)
        assert outcome.elapsed == sum(ROOM_PAUSES, timedelta(0)) < DAY

    def test_when_the_payment_is_refused(self) -> None:
        outcome = checked_out().rejects(AuthorizePayment, "PAYMENT_ALREADY_EXISTS").run()
        outcome.then_compensated("PAYMENT_ALREADY_EXISTS")
        outcome.then_sent(ReserveStock, AuthorizePayment, AbandonOrder, ReleaseStock)

    @pytest.mark.parametrize(
        ("answer", "reason", "words"),
        [
            (DECLINED, "PAYMENT_DECLINED", "the payment was declined: CARD_EXPIRED"),
            (VOIDED, "PAYMENT_VOIDED", "the payment was cancelled: by hand"),
        ],
    )
    def test_without_money(self, answer: Message, reason: str, words: str) -> None:
        outcome = checked_out().on(AuthorizePayment, emits=answer).run().then_compensated(reason)
        outcome.then_sent(ReserveStock, AuthorizePayment, AbandonOrder, CancelPayment, ReleaseStock)
        assert reason_of(outcome) == f"{reason}: {words}"

    def test_when_the_provider_never_answers(self) -> None:
        outcome = checked_out().run().then_compensated("TIMED_OUT")
        outcome.then_sent(ReserveStock, AuthorizePayment, AbandonOrder, CancelPayment, ReleaseStock)
        assert outcome.elapsed == PAYMENT_TIME

    def test_when_its_stock_was_released_by_hand_meanwhile(self) -> None:
        script = checked_out().on(AuthorizePayment, emits=DECLINED)
        script.rejects(ReleaseStock, "RESERVATION_NOT_FOUND").run().then_compensated("PAYMENT_DECLINED")


class TestCancelledBeforeItIsConfirmed:
    def test_while_its_stock_is_being_reserved(self) -> None:
        script = checked_out().on(ReserveStock, away_for=DAY).at(HOUR, CANCELLED)
        outcome = script.run().then_compensated("INTERRUPTED")
        outcome.then_sent(ReserveStock, AuthorizePayment, AbandonOrder, CancelPayment, ReleaseStock)
        assert outcome.elapsed == DAY

    def test_while_a_warehouse_has_no_room(self) -> None:
        script = checked_out().rejects(ReserveStock, "TOO_MANY_RESERVATIONS")
        outcome = script.at(timedelta(seconds=15), CANCELLED).run().then_compensated("INTERRUPTED")
        outcome.then_sent(ReserveStock, ReserveStock, AbandonOrder)

    def test_while_its_payment_is_being_authorized(self) -> None:
        outcome = paid().at(HOUR / 2, CANCELLED).run().then_compensated("INTERRUPTED")
        outcome.then_sent(ReserveStock, AuthorizePayment, AbandonOrder, CancelPayment, ReleaseStock)
        assert outcome.elapsed == HOUR / 2

    def test_in_the_moment_in_which_it_would_be_confirmed(self) -> None:
        outcome = paid().rejects(ConfirmOrder, "ORDER_CANCELLED").run().then_compensated("ORDER_CANCELLED")
        outcome.then_sent(*SECURED, AbandonOrder, CancelPayment, ReleaseStock)

    def test_is_not_cancelled_twice(self) -> None:
        script = checked_out().at(HOUR, CANCELLED).rejects(AbandonOrder, "ORDER_ALREADY_CANCELLED")
        script.run().then_compensated("INTERRUPTED")


class TestCancelledBeforeItLeaves:
    UNDONE = (CancelParcel, AbandonOrder, CancelParcel, CancelPayment, ReleaseStock)

    def test_while_the_parcel_waits_for_the_carrier(self) -> None:
        outcome = fetched().at(5 * HOUR, REQUESTED).run().then_compensated("INTERRUPTED")
        outcome.then_sent(*SENT_OFF, *self.UNDONE)
        assert outcome.elapsed == 5 * HOUR

    def test_by_hand_while_the_parcel_waits_for_the_carrier(self) -> None:
        script = fetched().at(5 * HOUR, CANCELLED).rejects(AbandonOrder, "ORDER_ALREADY_CANCELLED")
        script.run().then_compensated("INTERRUPTED").then_sent(*SENT_OFF, *self.UNDONE)

    def test_while_the_parcel_is_being_arranged(self) -> None:
        script = paid().on(ArrangeParcel, away_for=DAY).at(5 * HOUR, REQUESTED)
        script.run().then_compensated("INTERRUPTED").then_sent(*SENT_OFF, *self.UNDONE)

    @pytest.mark.parametrize("reason", ["PARCEL_HANDED_OVER", "PARCEL_DELIVERED"])
    def test_but_the_carrier_was_faster(self, reason: str) -> None:
        script = charged().at(5 * HOUR, REQUESTED).rejects(CancelParcel, reason)
        outcome = script.on(ShipOrder, emits=DELIVERED).run().then_completed()
        outcome.then_sent(*SENT_OFF, CancelParcel, *LEFT, CompleteOrder)

    def test_as_the_carrier_fetches_it(self) -> None:
        script = charged().at(DAY + HOUR, REQUESTED).rejects(CancelParcel, "PARCEL_HANDED_OVER")
        outcome = script.on(ShipOrder, emits=DELIVERED).run().then_completed()
        outcome.then_sent(*SENT_OFF, CancelParcel, *LEFT, CompleteOrder)

    def test_with_a_parcel_that_is_back_already(self) -> None:
        script = paid().at(5 * HOUR, REQUESTED).rejects(CancelParcel, "PARCEL_RETURNED")
        outcome = script.on(ShipOrder, emits=[CAPTURED, RETURNED]).run().then_compensated("PARCEL_RETURNED")
        outcome.then_sent(
            *SENT_OFF, CancelParcel, *LEFT, AbandonOrder, ReceiveStock, CancelPayment, ShipOutStock
        )


class TestNotFetched:
    def test_without_a_parcel(self) -> None:
        outcome = paid().rejects(ArrangeParcel, "PARCEL_ALREADY_ARRANGED").run()
        outcome.then_compensated("PARCEL_ALREADY_ARRANGED")
        outcome.then_sent(*SENT_OFF, AbandonOrder, CancelPayment, ReleaseStock)

    def test_when_shipping_gives_the_parcel_up(self) -> None:
        outcome = paid().on(ArrangeParcel, emits=STOPPED).run().then_compensated("PARCEL_CANCELLED")
        outcome.then_sent(*SENT_OFF, AbandonOrder, CancelParcel, CancelPayment, ReleaseStock)
        assert reason_of(outcome).endswith("the address does not exist")

    def test_when_the_carrier_never_comes(self) -> None:
        outcome = paid().run().then_compensated("TIMED_OUT")
        outcome.then_sent(*SENT_OFF, CancelParcel, AbandonOrder, CancelParcel, CancelPayment, ReleaseStock)
        assert outcome.elapsed == HOUR + PICK_UP_TIME

    def test_unless_the_carrier_came_at_the_last_moment(self) -> None:
        script = paid().rejects(CancelParcel, "PARCEL_HANDED_OVER").on(ShipOrder, emits=[CAPTURED, DELIVERED])
        script.run().then_completed().then_sent(*SENT_OFF, CancelParcel, *LEFT, CompleteOrder)


class TestLeft:
    GIVEN_UP = (AbandonOrder, CancelPayment, ShipOutStock)
    RETURNS = (AbandonOrder, ReceiveStock, CancelPayment, ShipOutStock)

    def test_and_came_back(self) -> None:
        outcome = charged().on(ShipOrder, emits=RETURNED, after=DAY).run().then_compensated("PARCEL_RETURNED")
        outcome.then_sent(*SHIPPED, *self.RETURNS)
        assert next(command for command in outcome.sent if isinstance(command, ReceiveStock)) == ReceiveStock(
            warehouse_id="w-1", lines=GOODS
        )

    def test_and_came_back_before_it_was_charged(self) -> None:
        script = fetched().on(CapturePayment, emits=CAPTURED, after=9 * DAY)
        outcome = script.on(ShipOrder, emits=RETURNED).run().then_compensated("PARCEL_RETURNED")
        outcome.then_sent(*SHIPPED, *self.RETURNS)

    def test_and_is_lost(self) -> None:
        outcome = charged().run().then_compensated("TIMED_OUT")
        outcome.then_sent(*SHIPPED, *self.GIVEN_UP)
        assert outcome.elapsed == HOUR + DAY + HOUR + DELIVERY_TIME + RETURN_TIME

    def test_and_comes_back_when_it_was_given_up(self) -> None:
        outcome = charged().at(50 * DAY, RETURNED).run().then_compensated("TIMED_OUT")
        outcome.then_sent(*SHIPPED, *self.GIVEN_UP, ReceiveStock)

    def test_and_is_delivered_when_it_was_given_up(self) -> None:
        outcome = charged().at(50 * DAY, DELIVERED).run().then_compensated("TIMED_OUT")
        outcome.then_sent(*SHIPPED, *self.GIVEN_UP)

    def test_and_cannot_be_charged(self) -> None:
        script = fetched().on(CapturePayment, emits=DECLINED).at(5 * DAY, DELIVERED)
        outcome = script.run().then_compensated("PAYMENT_DECLINED")
        outcome.then_sent(*SHIPPED, *self.GIVEN_UP)

    def test_and_its_order_was_undone_by_hand(self) -> None:
        outcome = fetched().rejects(ShipOrder, "ORDER_CANCELLED").at(5 * DAY, RETURNED).run()
        outcome.then_compensated("ORDER_CANCELLED")
        outcome.then_sent(*SHIPPED, *self.GIVEN_UP, ReceiveStock)

    def test_and_its_payment_was_undone_by_hand(self) -> None:
        outcome = fetched().rejects(CapturePayment, "PAYMENT_CANCELLED").at(5 * DAY, RETURNED).run()
        outcome.then_compensated("PAYMENT_CANCELLED").then_sent(*SHIPPED, *self.GIVEN_UP, ReceiveStock)

    def test_and_was_cancelled_by_hand_while_it_was_delivered(self) -> None:
        script = charged().on(ShipOrder, emits=DELIVERED).rejects(CompleteOrder, "ORDER_CANCELLED")
        outcome = script.run().then_compensated("ORDER_CANCELLED")
        outcome.then_sent(*SHIPPED, CompleteOrder, AbandonOrder, CancelPayment, ShipOutStock)


class TestOperator:
    def test_cancels_while_the_payment_is_authorized(self) -> None:
        outcome = paid().cancelled_at(HOUR / 2).run().then_compensated("CANCELLED")
        outcome.then_sent(ReserveStock, AuthorizePayment, AbandonOrder, CancelPayment, ReleaseStock)

    def test_cancels_while_the_parcel_waits(self) -> None:
        outcome = fetched().cancelled_at(5 * HOUR).run().then_compensated("CANCELLED")
        outcome.then_sent(*SENT_OFF, AbandonOrder, CancelParcel, CancelPayment, ReleaseStock)

    def test_is_asked_when_the_parcel_left_meanwhile(self) -> None:
        script = fetched().cancelled_at(5 * HOUR).rejects(CancelParcel, "PARCEL_HANDED_OVER")
        script.run().then_stuck("PARCEL_HANDED_OVER")

    def test_cancels_what_left(self) -> None:
        outcome = charged().cancelled_at(2 * DAY).run().then_compensated("CANCELLED")
        outcome.then_sent(*SHIPPED, AbandonOrder, CancelPayment, ShipOutStock)

    def test_is_asked_when_goods_that_came_back_find_no_place(self) -> None:
        script = charged().on(ShipOrder, emits=RETURNED).rejects(ReceiveStock, "TOO_MUCH_STOCK")
        script.run().then_stuck("TOO_MUCH_STOCK")
