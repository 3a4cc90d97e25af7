"""What shipping notes of an order."""

from __future__ import annotations

from intent.testing import given
from shipping.aggregates import OrderNote

from .parcel_examples import NOTE, NOTED, ORDER, note_status, status_noted


def test_an_order_is_noted_once() -> None:
    given(OrderNote, ORDER).when(NOTE).then(NOTED).then_state(status="placed").when(NOTE).then_nothing()


def test_an_order_with_other_lines_is_noted_again() -> None:
    other = type(NOTE)(order_id=ORDER, customer_id="ann", line_count=1)
    given(OrderNote, ORDER, NOTED).when(other).then(type(NOTED)(customer_id="ann", line_count=1))


def test_a_status_is_noted_once() -> None:
    scenario = given(OrderNote, ORDER, NOTED).when(note_status("confirmed")).then(status_noted("confirmed"))
    scenario.when(note_status("confirmed")).then_nothing()


def test_a_status_may_overtake_its_order() -> None:
    scenario = given(OrderNote, ORDER).when(note_status("cancelled")).then(status_noted("cancelled"))
    scenario.when(NOTE).then(NOTED).then_state(status="cancelled", customer_id="ann", line_count=2)
