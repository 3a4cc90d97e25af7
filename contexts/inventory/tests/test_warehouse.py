"""The rules of a warehouse, as a specification."""

from __future__ import annotations

import pytest
from google.protobuf.message import Message
from intent.testing import Outcome, Scenario
from intent.testing import given as given_any
from intent_contracts.inventory.v1 import Reservation, StockLevel, StockLine, WarehouseState
from inventory.aggregates import ARTICLE_LIMIT, STOCK_LIMIT, Warehouse

from .stock_examples import (
    ID,
    lines,
    ran_low,
    receive,
    received,
    release,
    released,
    reserve,
    reserved,
    ship_out,
    shipped_out,
    watch,
    watched,
)


def given(*events: Message) -> Scenario:
    return given_any(Warehouse, ID, *events)


def _holds(outcome: Outcome, **levels: tuple[int, int]) -> None:
    items = {sku: StockLevel(on_hand=on_hand, reserved=held) for sku, (on_hand, held) in levels.items()}
    outcome.then_state(items=items)


class TestReceive:
    def test_opens_the_warehouse(self) -> None:
        outcome = given().when(receive(tea=5, milk=2)).then(received(tea=5, milk=2))
        _holds(outcome, tea=(5, 0), milk=(2, 0))

    def test_adds_to_what_there_is(self) -> None:
        _holds(given(received(tea=5)).when(receive(tea=3)), tea=(8, 0))

    def test_adds_up_lines_of_one_article(self) -> None:
        command = receive(tea=5)
        command.lines.extend(lines(tea=1))
        given().when(command).then(received(tea=6))

    def test_refuses_more_than_a_warehouse_can_count(self) -> None:
        before = StockLine(sku="tea", quantity=STOCK_LIMIT - 1)
        outcome = given(received(tea=STOCK_LIMIT - 1)).when(receive(tea=2))
        outcome.then_rejected("TOO_MUCH_STOCK", sku="tea", on_hand=str(before.quantity))

    def test_refuses_more_articles_than_a_state_can_hold(self) -> None:
        full = received(**{f"sku-{number}": 1 for number in range(ARTICLE_LIMIT)})
        given(full).when(receive(**{"sku-1": 1})).then_accepted()
        given(full).when(receive(another=1)).then_rejected("TOO_MANY_ARTICLES")

    def test_refuses_nothing_and_less_than_nothing(self) -> None:
        given().when(receive()).then_invalid("lines")
        given().when(receive(tea=0)).then_invalid("lines[0].quantity")


class TestReserve:
    def test_holds_all_lines(self) -> None:
        outcome = given(received(tea=5, milk=2)).when(reserve("r-1", tea=3, milk=2))
        outcome.then(reserved("r-1", tea=3, milk=2))
        _holds(outcome, tea=(5, 3), milk=(2, 2))

    def test_holds_all_lines_or_nothing(self) -> None:
        outcome = given(received(tea=5, milk=1)).when(reserve("r-1", tea=3, milk=2))
        outcome.then_rejected("OUT_OF_STOCK", sku="milk", wanted="2", available="1")
        outcome.then_state(reservations={})

    def test_cannot_have_what_another_holds(self) -> None:
        before = [received(tea=5), reserved("r-1", tea=4)]
        given(*before).when(reserve("r-2", tea=1)).then(reserved("r-2", tea=1))
        outcome = given(*before).when(reserve("r-2", tea=2))
        outcome.then_rejected("OUT_OF_STOCK", sku="tea", wanted="2", available="1")

    def test_cannot_have_what_left(self) -> None:
        before = [received(tea=5), reserved("r-1", tea=4), shipped_out("r-1", tea=4)]
        given(*before).when(reserve("r-2", tea=2)).then_rejected("OUT_OF_STOCK", available="1")

    def test_adds_up_lines_of_one_article_before_it_decides(self) -> None:
        command = reserve("r-1", tea=3)
        command.lines.extend(lines(tea=3))
        outcome = given(received(tea=5)).when(command)
        outcome.then_rejected("OUT_OF_STOCK", sku="tea", wanted="6", available="5")

    def test_of_what_never_lay_here_is_refused(self) -> None:
        outcome = given(received(tea=5)).when(reserve("r-1", milk=1))
        outcome.then_rejected("OUT_OF_STOCK", sku="milk", wanted="1", available="0")

    def test_again_has_no_second_effect(self) -> None:
        before = [received(tea=5, milk=2), reserved("r-1", tea=3, milk=1)]
        given(*before).when(reserve("r-1", milk=1, tea=3)).then_nothing()

    @pytest.mark.parametrize("other", [reserve("r-1", tea=2), reserve("r-1", tea=3, milk=1)])
    def test_again_with_other_lines_is_refused(self, other: Message) -> None:
        before = [received(tea=5, milk=2), reserved("r-1", tea=3)]
        given(*before).when(other).then_rejected("RESERVATION_DIFFERS", reservation_id="r-1")

    def test_again_for_another_order_is_refused(self) -> None:
        command = reserve("r-1", tea=3)
        command.order_id = "another"
        given(received(tea=5), reserved("r-1", tea=3)).when(command).then_rejected("RESERVATION_DIFFERS")

    def test_remembers_the_order_when_it_is_called_otherwise(self) -> None:
        command, event = reserve("r-1", tea=3), reserved("r-1", tea=3)
        command.order_id = event.order_id = "o-1"
        held = Reservation(order_id="o-1", lines=lines(tea=3))
        outcome = given(received(tea=5)).when(command).then(event).then_state(reservations={"r-1": held})
        outcome.when(command).then_nothing()
        gone = released("r-1", tea=3)
        gone.order_id = "o-1"
        outcome.when(release("r-1")).then(gone)

    def test_needs_a_warehouse(self) -> None:
        given().when(reserve("r-1", tea=1)).then_rejected("WAREHOUSE_NOT_FOUND")


class TestRelease:
    def test_makes_it_available_again(self) -> None:
        outcome = given(received(tea=5), reserved("r-1", tea=4)).when(release("r-1"))
        outcome.then(released("r-1", tea=4)).then_state(WarehouseState(items={"tea": StockLevel(on_hand=5)}))
        outcome.when(reserve("r-2", tea=5)).then_accepted()

    def test_happens_once(self) -> None:
        given(received(tea=5), reserved("r-1", tea=4)).when(release("r-1")).when(
            release("r-1")
        ).then_rejected("RESERVATION_NOT_FOUND", reservation_id="r-1")

    def test_of_what_left_is_refused(self) -> None:
        before = [received(tea=5), reserved("r-1", tea=4), shipped_out("r-1", tea=4)]
        given(*before).when(release("r-1")).then_rejected("RESERVATION_NOT_FOUND")

    def test_needs_a_warehouse(self) -> None:
        given().when(release("r-1")).then_rejected("WAREHOUSE_NOT_FOUND")


class TestShipOut:
    def test_takes_what_is_held(self) -> None:
        outcome = given(received(tea=5), reserved("r-1", tea=4)).when(ship_out("r-1"))
        outcome.then(shipped_out("r-1", tea=4)).then_state(
            WarehouseState(items={"tea": StockLevel(on_hand=1)})
        )

    def test_happens_once(self) -> None:
        given(received(tea=5), reserved("r-1", tea=4)).when(ship_out("r-1")).when(
            ship_out("r-1")
        ).then_rejected("RESERVATION_NOT_FOUND")

    def test_of_what_was_released_is_refused(self) -> None:
        before = [received(tea=5), reserved("r-1", tea=4), released("r-1", tea=4)]
        given(*before).when(ship_out("r-1")).then_rejected("RESERVATION_NOT_FOUND")

    def test_forgets_an_article_that_is_gone(self) -> None:
        outcome = given(received(tea=4), reserved("r-1", tea=4)).when(ship_out("r-1"))
        outcome.then_state(WarehouseState())

    def test_remembers_an_article_that_is_gone_and_watched(self) -> None:
        before = [received(tea=4), watched("tea", 1), reserved("r-1", tea=4)]
        outcome = given(*before).when(ship_out("r-1"))
        outcome.then_state(WarehouseState(items={"tea": StockLevel(low_level=1)}))


class TestLowStock:
    def test_is_told_when_the_level_is_reached(self) -> None:
        before = [received(tea=10), watched("tea", 4)]
        given(*before).when(reserve("r-1", tea=5)).then(reserved("r-1", tea=5))
        given(*before).when(reserve("r-1", tea=6)).then(reserved("r-1", tea=6), ran_low("tea", 4, 4))

    def test_is_told_once(self) -> None:
        before = [received(tea=10), watched("tea", 4), reserved("r-1", tea=6), ran_low("tea", 4, 4)]
        given(*before).when(reserve("r-2", tea=1)).then(reserved("r-2", tea=1))

    def test_is_told_again_after_there_was_enough(self) -> None:
        before = [received(tea=10), watched("tea", 4), reserved("r-1", tea=6), ran_low("tea", 4, 4)]
        given(*before, received(tea=1)).when(reserve("r-2", tea=2)).then(
            reserved("r-2", tea=2), ran_low("tea", 3, 4)
        )
        given(*before, released("r-1", tea=6)).when(reserve("r-2", tea=8)).then(
            reserved("r-2", tea=8), ran_low("tea", 2, 4)
        )

    def test_is_told_of_each_article(self) -> None:
        before = [received(tea=3, milk=3, salt=3), watched("tea", 1), watched("milk", 1)]
        given(*before).when(reserve("r-1", tea=2, milk=3, salt=3)).then(
            reserved("r-1", tea=2, milk=3, salt=3), ran_low("tea", 1, 1), ran_low("milk", 0, 1)
        )

    def test_is_told_when_the_level_rises_above_what_there_is(self) -> None:
        given(received(tea=3)).when(watch("tea", 2)).then(watched("tea", 2))
        given(received(tea=3)).when(watch("tea", 3)).then(watched("tea", 3), ran_low("tea", 3, 3))
        given(received(tea=3), watched("tea", 3)).when(watch("tea", 5)).then(watched("tea", 5))

    def test_is_not_told_when_the_goods_leave_that_were_reserved(self) -> None:
        before = [received(tea=10), watched("tea", 4), reserved("r-1", tea=6), ran_low("tea", 4, 4)]
        given(*before).when(ship_out("r-1")).then(shipped_out("r-1", tea=6))

    def test_is_never_told_without_a_level(self) -> None:
        given(received(tea=1), watched("tea", 1), watched("tea", 0)).when(reserve("r-1", tea=1)).then(
            reserved("r-1", tea=1)
        )

    def test_of_the_level_it_has_records_nothing(self) -> None:
        given(received(tea=1), watched("tea", 1)).when(watch("tea", 1)).then_nothing()
        given(received(tea=1)).when(watch("milk", 0)).then_nothing()

    def test_of_an_article_to_come_is_watched(self) -> None:
        given(received(tea=1)).when(watch("milk", 2)).then(watched("milk", 2), ran_low("milk", 0, 2))

    def test_of_an_article_that_is_gone_is_forgotten_without_a_level(self) -> None:
        given(received(tea=1), watched("milk", 2)).when(watch("milk", 0)).then_state(
            items={"tea": StockLevel(on_hand=1)}
        )

    def test_needs_a_warehouse(self) -> None:
        given().when(watch("tea", 1)).then_rejected("WAREHOUSE_NOT_FOUND")
